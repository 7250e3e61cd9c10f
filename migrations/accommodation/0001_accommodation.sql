-- The accommodation domain: properties, their rooms by type and night, what they cost, who holds and who bought them.
--
-- Room types that are all alike are counters, one a night; named villas are sold by the same counters and get their
-- unit when they are confirmed. Conservation (invariant S21) is the tables' own business: `available` is computed,
-- nothing can fall below zero, and two stays in one villa never overlap.

-- For the exclusion constraints: `=` on a number beside `&&` on a range.
CREATE EXTENSION IF NOT EXISTS btree_gist;
-- For the search of a text anywhere in another one.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- A year's prices in per cent of the ordinary rate, for every property that follows it. Days are 'MM-DD', the last
-- one included; the seasons of a pattern cover the year without overlap.
CREATE TABLE season (
    pattern   text NOT NULL,
    first_day text NOT NULL CHECK (first_day ~ '^[01][0-9]-[0-3][0-9]$'),
    last_day  text NOT NULL CHECK (last_day ~ '^[01][0-9]-[0-3][0-9]$' AND last_day >= first_day),
    percent   integer NOT NULL CHECK (percent > 0),
    PRIMARY KEY (pattern, first_day)
);

CREATE TABLE property (
    property_id    integer PRIMARY KEY,
    name           text NOT NULL UNIQUE,
    place          text NOT NULL,
    country        text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    -- IANA name; nights begin and end in it.
    zone           text NOT NULL,
    latitude       numeric(7, 4) NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude      numeric(7, 4) NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    stars          smallint NOT NULL CHECK (stars BETWEEN 1 AND 5),
    currency       text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    season_pattern text NOT NULL,
    -- Name, place, country and what else people call them: small letters without accents.
    search_text    text NOT NULL CHECK (search_text = lower(search_text)),
    active         boolean NOT NULL DEFAULT true
);

-- Properties are written rarely and searched all the time: nothing waits to be put into the index.
CREATE INDEX property_by_text ON property USING gin (search_text gin_trgm_ops) WITH (fastupdate = off);

CREATE TABLE room_type (
    room_type_id integer PRIMARY KEY,
    property_id  integer NOT NULL REFERENCES property,
    name         text NOT NULL,
    -- 'unit': each one has a name and is assigned; 'room': one is like the other.
    kind         text NOT NULL CHECK (kind IN ('room', 'unit')),
    guests_max   smallint NOT NULL CHECK (guests_max BETWEEN 1 AND 20),
    -- How many there are on an ordinary night.
    rooms        integer NOT NULL CHECK (rooms >= 0),
    -- For one ordinary night, taxes included, in the property's currency.
    nightly      numeric(19, 4) NOT NULL CHECK (nightly > 0),
    active       boolean NOT NULL DEFAULT true,
    UNIQUE (property_id, name)
);

CREATE TABLE unit (
    unit_id      integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    room_type_id integer NOT NULL REFERENCES room_type,
    name         text NOT NULL,
    UNIQUE (room_type_id, name)
);

-- The price of a night, by dates; exactly one for a night.
CREATE TABLE rate (
    room_type_id integer NOT NULL REFERENCES room_type,
    valid        daterange NOT NULL CHECK (NOT isempty(valid)),
    nightly      numeric(19, 4) NOT NULL CHECK (nightly > 0),
    EXCLUDE USING gist (room_type_id WITH =, valid WITH &&)
);

-- Nights that may not be sold although they are free. `min_stay` and `closed_to_arrival` look at the day of arrival,
-- `closed_to_departure` at the day of departure, `min_stay_through` and `stop_sell` at every night stayed.
CREATE TABLE restriction (
    room_type_id integer NOT NULL REFERENCES room_type,
    valid        daterange NOT NULL CHECK (NOT isempty(valid)),
    kind         text NOT NULL CHECK (kind IN
                 ('min_stay', 'min_stay_through', 'closed_to_arrival', 'closed_to_departure', 'stop_sell')),
    nights       smallint CHECK (nights > 1),
    CHECK ((nights IS NOT NULL) = (kind IN ('min_stay', 'min_stay_through'))),
    UNIQUE (room_type_id, kind, valid)
);

-- The rows under contention: narrow, and with room on the page so that updates stay on it.
CREATE TABLE room_night (
    room_type_id integer NOT NULL REFERENCES room_type,
    night        date NOT NULL,
    capacity     integer NOT NULL CHECK (capacity >= 0),
    held         integer NOT NULL DEFAULT 0 CHECK (held >= 0),
    sold         integer NOT NULL DEFAULT 0 CHECK (sold >= 0),
    available    integer NOT NULL GENERATED ALWAYS AS (capacity - held - sold) STORED CHECK (available >= 0),
    PRIMARY KEY (room_type_id, night)
) WITH (fillfactor = 70);
-- The pruner's: what is long past.
CREATE INDEX room_night_by_night ON room_night (night);

CREATE TABLE room_hold (
    order_id   uuid PRIMARY KEY,
    status     text NOT NULL DEFAULT 'held' CHECK (status IN ('held', 'confirmed', 'released', 'expired')),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    -- When it stopped being held, whichever way.
    closed_at  timestamptz,
    CHECK ((status = 'held') = (closed_at IS NULL))
);
-- The sweeper's: what runs out next.
CREATE INDEX room_hold_due ON room_hold (expires_at) WHERE status = 'held';
-- The pruner's: what ended without a booking.
CREATE INDEX room_hold_ended ON room_hold (closed_at) WHERE status IN ('released', 'expired');

-- One room for one stay.
CREATE TABLE room_hold_line (
    order_id     uuid NOT NULL REFERENCES room_hold,
    line         smallint NOT NULL,
    -- The name of the accepted offer; what was sealed into it stands in the other columns.
    offer_id     uuid NOT NULL,
    room_type_id integer NOT NULL REFERENCES room_type,
    check_in     date NOT NULL,
    check_out    date NOT NULL CHECK (check_out > check_in),
    guests       smallint NOT NULL,
    total        numeric(19, 4) NOT NULL,
    currency     text NOT NULL,
    PRIMARY KEY (order_id, line)
);

-- Who has a room of a type, by arrival.
CREATE INDEX room_hold_line_by_room ON room_hold_line (room_type_id, check_in);

-- What was held cannot be talked out of: releasing gives back exactly what holding took.
CREATE FUNCTION refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER room_hold_line_is_immutable BEFORE UPDATE ON room_hold_line
    FOR EACH ROW EXECUTE FUNCTION refuse_update();

-- Which villa a confirmed stay is in. The last night ends on the morning of departure, so that the next guests may
-- arrive the same day.
CREATE TABLE unit_stay (
    order_id uuid NOT NULL,
    line     smallint NOT NULL,
    unit_id  integer NOT NULL REFERENCES unit,
    stay     daterange NOT NULL CHECK (NOT isempty(stay)),
    PRIMARY KEY (order_id, line),
    FOREIGN KEY (order_id, line) REFERENCES room_hold_line,
    EXCLUDE USING gist (unit_id WITH =, stay WITH &&)
);

CREATE SEQUENCE confirmation_number AS bigint MAXVALUE 1099511627775;

-- Eight characters out of 32 (no 0, 1, I, O), one for each number below 2^40 and never the same for two: odd factors
-- and shifted exclusive ors can be undone, so nothing collides, and neighbors look unrelated.
CREATE FUNCTION confirmation_code(number bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    mask     constant bigint := 1099511627775;
    alphabet constant text := 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789';
    mixed    bigint := (number * 4180117) & mask;
    code     text := '';
BEGIN
    mixed := mixed # (mixed >> 20);
    mixed := (mixed * 6700417) & mask;
    mixed := mixed # (mixed >> 17);
    FOR place IN 0..7 LOOP
        code := code || substr(alphabet, ((mixed >> (place * 5)) & 31)::int + 1, 1);
    END LOOP;
    RETURN code;
END
$$;

CREATE TABLE stay_booking (
    order_id     uuid PRIMARY KEY REFERENCES room_hold,
    confirmation text NOT NULL UNIQUE CHECK (confirmation ~ '^[A-Z0-9]{8}$'),
    guest_name   text NOT NULL,
    booked_at    timestamptz NOT NULL
);
-- The pruner's: what was booked long ago.
CREATE INDEX stay_booking_by_time ON stay_booking (booked_at);

-- Conservation as a question: no row of it may ever say false. For tests and for people.
CREATE VIEW inventory_conservation AS
SELECT n.room_type_id, n.night, n.capacity, n.held, n.sold, n.available,
       coalesce(l.held, 0) AS held_by_lines,
       coalesce(l.sold, 0) AS sold_by_lines,
       n.held = coalesce(l.held, 0) AND n.sold = coalesce(l.sold, 0)
           AND n.available + n.held + n.sold = n.capacity AS conserved
FROM room_night n
LEFT JOIN (
    SELECT line.room_type_id, line.check_in + day AS night,
           count(*) FILTER (WHERE hold.status = 'held') AS held,
           count(*) FILTER (WHERE hold.status = 'confirmed') AS sold
    FROM room_hold_line line JOIN room_hold hold USING (order_id)
    CROSS JOIN generate_series(0, line.check_out - line.check_in - 1) AS day
    GROUP BY line.room_type_id, line.check_in + day
) l USING (room_type_id, night);

-- Every confirmed stay in a named villa has its villa; no row of it may ever say false.
CREATE VIEW unit_conservation AS
SELECT line.order_id, line.line, hold.status, stay.unit_id,
       (stay.unit_id IS NOT NULL) = (hold.status = 'confirmed')
           AND (stay.stay IS NULL OR stay.stay = daterange(line.check_in, line.check_out)) AS conserved
FROM room_hold_line line JOIN room_hold hold USING (order_id)
JOIN room_type type ON type.room_type_id = line.room_type_id AND type.kind = 'unit'
LEFT JOIN unit_stay stay USING (order_id, line);
