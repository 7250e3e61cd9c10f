-- Invented properties in real places. Everything is priced in euros, so that it can be ordered together with flights,
-- but for two that prove the exponents: yen (none) and Kuwaiti dinars (three).
--
-- Worth knowing: the Maldives sell villas on every night of the year without a minimum at 1, 2 and 3; 4 and St Barths
-- (13) ask for seven nights over New Year; Lake Como (7) takes no arrivals on 24 and 25 December, and its Darsena
-- Suite is down to the last room on the 15th of each month; Patagonia (16) is shut in June and July.
INSERT INTO season (pattern, first_day, last_day, percent) VALUES
    ('tropics', '01-01', '01-06', 190), ('tropics', '01-07', '04-20', 130), ('tropics', '04-21', '07-14', 85),
    ('tropics', '07-15', '08-31', 105), ('tropics', '09-01', '10-31', 85), ('tropics', '11-01', '12-19', 100),
    ('tropics', '12-20', '12-31', 190),
    ('summer', '01-01', '03-31', 80), ('summer', '04-01', '05-31', 100), ('summer', '06-01', '09-15', 145),
    ('summer', '09-16', '10-31', 105), ('summer', '11-01', '12-31', 80),
    ('winter', '01-01', '01-08', 180), ('winter', '01-09', '03-31', 140), ('winter', '04-01', '06-14', 80),
    ('winter', '06-15', '09-15', 100), ('winter', '09-16', '12-18', 85), ('winter', '12-19', '12-31', 180),
    ('city', '01-01', '03-19', 85), ('city', '03-20', '06-30', 115), ('city', '07-01', '08-31', 95),
    ('city', '09-01', '11-30', 110), ('city', '12-01', '12-31', 125),
    ('south', '01-01', '03-15', 140), ('south', '03-16', '05-31', 100), ('south', '06-01', '09-30', 75),
    ('south', '10-01', '12-14', 110), ('south', '12-15', '12-31', 165),
    ('safari', '01-01', '02-28', 115), ('safari', '02-29', '05-31', 75), ('safari', '06-01', '10-31', 140),
    ('safari', '11-01', '12-19', 90), ('safari', '12-20', '12-31', 150)
ON CONFLICT DO NOTHING;

INSERT INTO property (property_id, name, place, country, zone, latitude, longitude, stars, currency, season_pattern, search_text) VALUES
    (1, 'Nilandhe Lagoon', 'Baa Atoll', 'MV', 'Indian/Maldives', 5.1600, 73.0700, 5, 'EUR', 'tropics', 'nilandhe lagoon baa atoll maldives malediven maldive islands indian ocean'),
    (2, 'Thari Reef House', 'North Malé Atoll', 'MV', 'Indian/Maldives', 4.4500, 73.5200, 5, 'EUR', 'tropics', 'thari reef house north male atoll maldives malediven maldive islands indian ocean'),
    (3, 'Fenmuli Sandbank', 'Addu Atoll', 'MV', 'Indian/Maldives', -0.6500, 73.1700, 5, 'EUR', 'tropics', 'fenmuli sandbank addu atoll gan maldives malediven maldive islands indian ocean'),
    (4, 'Fenvaru Private Island', 'Haa Dhaalu Atoll', 'MV', 'Indian/Maldives', 6.7000, 73.1200, 5, 'EUR', 'tropics', 'fenvaru private island haa dhaalu atoll hanimaadhoo maldives malediven maldive islands indian ocean'),
    (5, 'Anse Kalypso', 'Praslin', 'SC', 'Indian/Mahe', -4.3200, 55.7300, 5, 'EUR', 'tropics', 'anse kalypso praslin seychelles indian ocean'),
    (6, 'Morne Vanille', 'Le Morne', 'MU', 'Indian/Mauritius', -20.4500, 57.3200, 5, 'EUR', 'tropics', 'morne vanille le morne mauritius indian ocean'),
    (7, 'Villa Corvenna', 'Bellagio, Lake Como', 'IT', 'Europe/Rome', 45.9870, 9.2610, 5, 'EUR', 'summer', 'villa corvenna bellagio lake como lago di como italy italia lombardy'),
    (8, 'Palazzo Tremiti', 'Venice', 'IT', 'Europe/Rome', 45.4340, 12.3300, 5, 'EUR', 'city', 'palazzo tremiti venice venezia italy italia'),
    (9, 'Maison Sérac', 'Chamonix', 'FR', 'Europe/Paris', 45.9830, 6.9280, 5, 'EUR', 'winter', 'maison serac chamonix mont blanc alps france'),
    (10, 'Les Cigales Blanches', 'Cap Ferrat', 'FR', 'Europe/Paris', 43.6850, 7.3300, 5, 'EUR', 'summer', 'les cigales blanches cap ferrat nice riviera cote d''azur france'),
    (11, 'Hotel Trois Quais', 'Paris', 'FR', 'Europe/Paris', 48.8570, 2.3550, 5, 'EUR', 'city', 'hotel trois quais paris france'),
    (12, 'Haus Firnlicht', 'Zermatt', 'CH', 'Europe/Zurich', 46.0200, 7.7490, 5, 'EUR', 'winter', 'haus firnlicht zermatt matterhorn alps switzerland schweiz suisse'),
    (13, 'Colombier Point', 'St Barths', 'BL', 'America/St_Barthelemy', 17.9200, -62.8700, 5, 'EUR', 'tropics', 'colombier point st barths saint barthelemy st barts saint barts caribbean'),
    (14, 'Kogarashi', 'Kyoto', 'JP', 'Asia/Tokyo', 35.0100, 135.7800, 5, 'JPY', 'city', 'kogarashi kyoto japan nippon ryokan'),
    (15, 'Orangi Plains Camp', 'Serengeti', 'TZ', 'Africa/Dar_es_Salaam', -2.1900, 34.2400, 5, 'EUR', 'safari', 'orangi plains camp serengeti tanzania safari africa'),
    (16, 'Estancia Lago Viento', 'El Calafate, Patagonia', 'AR', 'America/Argentina/Rio_Gallegos', -50.3300, -72.6000, 5, 'EUR', 'south', 'estancia lago viento el calafate patagonia argentina'),
    (17, 'Motu Hina', 'Bora Bora', 'PF', 'Pacific/Tahiti', -16.4900, -151.7000, 5, 'EUR', 'tropics', 'motu hina bora bora french polynesia tahiti pacific'),
    (18, 'Caldera Ennea', 'Santorini', 'GR', 'Europe/Athens', 36.4600, 25.3750, 5, 'EUR', 'summer', 'caldera ennea santorini thira oia greece cyclades'),
    (19, 'Carvalhal Dunes', 'Comporta', 'PT', 'Europe/Lisbon', 38.3800, -8.7800, 5, 'EUR', 'summer', 'carvalhal dunes comporta alentejo portugal'),
    (20, 'Dar Salwa', 'Kuwait City', 'KW', 'Asia/Kuwait', 29.3600, 48.0000, 5, 'KWD', 'city', 'dar salwa kuwait city kuwait gulf'),
    (21, 'Sawah Ridge House', 'Ubud, Bali', 'ID', 'Asia/Makassar', -8.5000, 115.2500, 5, 'EUR', 'tropics', 'sawah ridge house ubud bali indonesia'),
    (22, 'Vinlands Lodge', 'Franschhoek', 'ZA', 'Africa/Johannesburg', -33.9100, 19.1200, 5, 'EUR', 'south', 'vinlands lodge franschhoek cape winelands south africa'),
    (23, 'Hotel Strandvej', 'Reykjavík', 'IS', 'Atlantic/Reykjavik', 64.1470, -21.9400, 5, 'EUR', 'city', 'hotel strandvej reykjavik iceland northern lights'),
    (24, 'The Bruton Row', 'London', 'GB', 'Europe/London', 51.5110, -0.1440, 5, 'EUR', 'city', 'the bruton row london mayfair england united kingdom britain')
ON CONFLICT (property_id) DO NOTHING;

INSERT INTO room_type (room_type_id, property_id, name, kind, guests_max, rooms, nightly) VALUES
    (101, 1, 'Beach Villa', 'room', 3, 90, 780), (102, 1, 'Water Villa', 'room', 3, 60, 980),
    (103, 1, 'Family Beach Villa', 'room', 5, 20, 1450), (104, 1, 'Named Sunset Villa', 'unit', 4, 6, 2200),
    (201, 2, 'Garden Villa', 'room', 2, 80, 690), (202, 2, 'Reef Villa', 'room', 3, 50, 920),
    (203, 2, 'Named Lagoon Residence', 'unit', 6, 4, 3900),
    (301, 3, 'Sandbank Villa', 'room', 3, 70, 840), (302, 3, 'Water Villa with Pool', 'room', 3, 40, 1240),
    (303, 3, 'Three Bedroom Villa', 'room', 9, 15, 3100),
    (401, 4, 'Island Villa', 'room', 4, 24, 1650), (402, 4, 'Named Owner''s Villa', 'unit', 9, 2, 7800),
    (501, 5, 'Hillside Villa', 'room', 3, 18, 890), (502, 5, 'Beachfront Suite', 'room', 3, 12, 1120),
    (601, 6, 'Lagoon Suite', 'room', 3, 30, 520), (602, 6, 'Pool Villa', 'room', 5, 10, 1080),
    (701, 7, 'Lake Room', 'room', 2, 28, 620), (702, 7, 'Darsena Suite', 'room', 3, 6, 1180),
    (703, 7, 'Named Boathouse', 'unit', 4, 1, 2400),
    (801, 8, 'Canal Room', 'room', 2, 22, 540), (802, 8, 'Piano Nobile Suite', 'room', 4, 3, 1900),
    (901, 9, 'Glacier Room', 'room', 2, 20, 480), (902, 9, 'Chalet', 'unit', 8, 3, 2700),
    (1001, 10, 'Sea Room', 'room', 2, 26, 720), (1002, 10, 'Pine Terrace Suite', 'room', 4, 8, 1500),
    (1101, 11, 'Quay Room', 'room', 2, 40, 590), (1102, 11, 'Île Suite', 'room', 3, 7, 1400),
    (1201, 12, 'Matterhorn Room', 'room', 2, 24, 640), (1202, 12, 'Attic Suite', 'room', 4, 6, 1350),
    (1301, 13, 'Garden Bungalow', 'room', 2, 16, 980), (1302, 13, 'Named Cliff Villa', 'unit', 6, 3, 4200),
    (1401, 14, 'Garden Room', 'room', 2, 14, 98000), (1402, 14, 'Tea House', 'room', 4, 3, 210000),
    (1501, 15, 'River Tent', 'room', 2, 12, 870), (1502, 15, 'Family Tent', 'room', 5, 4, 1600),
    (1601, 16, 'Steppe Room', 'room', 2, 14, 510), (1602, 16, 'Glacier Suite', 'room', 4, 4, 990),
    (1701, 17, 'Overwater Bungalow', 'room', 3, 34, 1150), (1702, 17, 'Motu Villa', 'room', 5, 8, 2300),
    (1801, 18, 'Cave Suite', 'room', 2, 18, 640), (1802, 18, 'Captain''s House', 'room', 6, 2, 1900),
    (1901, 19, 'Dune Cabin', 'room', 2, 20, 420), (1902, 19, 'Rice Barn', 'room', 6, 5, 980),
    (2001, 20, 'Gulf Room', 'room', 2, 30, 145.500), (2002, 20, 'Diwan Suite', 'room', 4, 6, 390.250),
    (2101, 21, 'Ridge Villa', 'room', 3, 16, 560), (2102, 21, 'Valley Pool Villa', 'room', 4, 8, 940),
    (2201, 22, 'Vineyard Room', 'room', 2, 18, 410), (2202, 22, 'Manor Suite', 'room', 4, 5, 860),
    (2301, 23, 'Harbour Room', 'room', 2, 32, 380), (2302, 23, 'Aurora Suite', 'room', 4, 6, 790),
    (2401, 24, 'Mews Room', 'room', 2, 36, 610), (2402, 24, 'Row Apartment', 'room', 5, 8, 1450)
ON CONFLICT (room_type_id) DO NOTHING;

INSERT INTO unit (room_type_id, name)
SELECT t.room_type_id, n.name
FROM (VALUES
    (104, ARRAY['Villa Fulha', 'Villa Kandu', 'Villa Velaa', 'Villa Mathi', 'Villa Handhu', 'Villa Rihi']),
    (203, ARRAY['Residence Bodu', 'Residence Kuda', 'Residence Medhu', 'Residence Uthuru']),
    (402, ARRAY['Owner''s Villa East', 'Owner''s Villa West']),
    (703, ARRAY['The Boathouse']),
    (902, ARRAY['Chalet Verte', 'Chalet Dru', 'Chalet Midi']),
    (1302, ARRAY['Villa Flamands', 'Villa Lurin', 'Villa Toiny'])
) AS t (room_type_id, names), unnest(t.names) AS n (name)
ON CONFLICT DO NOTHING;
