-- The flights domain: what flies when, how many seats are left, who holds and who bought them.
--
-- Conservation (invariant S21) is the table's own business: `available` is computed, and no statement that would
-- take it, `held` or `sold` below zero can commit.

CREATE TABLE airport (
    iata      text PRIMARY KEY CHECK (iata ~ '^[A-Z]{3}$'),
    icao      text NOT NULL UNIQUE CHECK (icao ~ '^[A-Z]{4}$'),
    name      text NOT NULL,
    city      text NOT NULL,
    country   text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    -- IANA name; wall times at this airport are told in it.
    zone      text NOT NULL,
    latitude  numeric(7, 4) NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude numeric(7, 4) NOT NULL CHECK (longitude BETWEEN -180 AND 180)
);

-- LON stands for LHR, LGW and LCY.
CREATE TABLE metropolitan_area (
    code text NOT NULL CHECK (code ~ '^[A-Z]{3}$'),
    iata text NOT NULL REFERENCES airport,
    PRIMARY KEY (code, iata)
);

CREATE TABLE carrier (
    code text PRIMARY KEY CHECK (code ~ '^[A-Z0-9]{2}$'),
    name text NOT NULL UNIQUE,
    -- The first three digits of this carrier's ticket numbers.
    accounting_code text NOT NULL UNIQUE CHECK (accounting_code ~ '^[0-9]{3}$')
);

-- The weekly timetable. The arrival follows from the block time, so that it stays right over clock changes.
CREATE TABLE schedule (
    schedule_id   integer PRIMARY KEY,
    carrier       text NOT NULL REFERENCES carrier,
    number        smallint NOT NULL CHECK (number BETWEEN 1 AND 9999),
    origin        text NOT NULL REFERENCES airport,
    destination   text NOT NULL REFERENCES airport CHECK (destination <> origin),
    -- ISO days of the week (1 is Monday), such as '1357'.
    days          text NOT NULL CHECK (days ~ '^1?2?3?4?5?6?7?$' AND days <> ''),
    departs_local time NOT NULL,
    block_minutes smallint NOT NULL CHECK (block_minutes BETWEEN 10 AND 1440),
    active        boolean NOT NULL DEFAULT true,
    UNIQUE (carrier, number, origin)
);

CREATE TABLE schedule_cabin (
    schedule_id integer NOT NULL REFERENCES schedule,
    cabin       text NOT NULL CHECK (cabin IN ('economy', 'premium_economy', 'business', 'first')),
    capacity    integer NOT NULL CHECK (capacity > 0),
    -- The fare of an ordinary day; dated flights vary around it.
    fare        numeric(19, 4) NOT NULL CHECK (fare > 0),
    currency    text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    PRIMARY KEY (schedule_id, cabin)
);

-- One departure. Instants decide; local times are what people read.
CREATE TABLE flight (
    flight_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The next four are the schedule's, where they are checked: tens of thousands of rows are made at once.
    schedule_id   integer NOT NULL REFERENCES schedule,
    carrier       text NOT NULL,
    number        smallint NOT NULL,
    origin        text NOT NULL,
    destination   text NOT NULL,
    -- The local date of departure: with carrier, number and origin it names the flight.
    departs_on    date NOT NULL,
    departs_at    timestamptz NOT NULL,
    arrives_at    timestamptz NOT NULL CHECK (arrives_at > departs_at),
    departs_local timestamp NOT NULL,
    arrives_local timestamp NOT NULL,
    -- False takes it off sale; holds and bookings on it stay as they are.
    active        boolean NOT NULL DEFAULT true,
    UNIQUE (carrier, number, departs_on, origin)
);
CREATE INDEX flight_by_route ON flight (origin, destination, departs_on, departs_at, flight_id);
-- The pruner's: what has left long ago.
CREATE INDEX flight_by_departure ON flight (departs_at);

-- The rows under contention: narrow, and with room on the page so that updates stay on it.
CREATE TABLE cabin_inventory (
    flight_id bigint NOT NULL REFERENCES flight,
    cabin     text NOT NULL CHECK (cabin IN ('economy', 'premium_economy', 'business', 'first')),
    capacity  integer NOT NULL CHECK (capacity >= 0),
    held      integer NOT NULL DEFAULT 0 CHECK (held >= 0),
    sold      integer NOT NULL DEFAULT 0 CHECK (sold >= 0),
    available integer NOT NULL GENERATED ALWAYS AS (capacity - held - sold) STORED CHECK (available >= 0),
    -- For one seat, taxes included.
    fare      numeric(19, 4) NOT NULL CHECK (fare > 0),
    currency  text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    PRIMARY KEY (flight_id, cabin)
) WITH (fillfactor = 70);

CREATE TABLE seat_hold (
    order_id   uuid PRIMARY KEY,
    status     text NOT NULL DEFAULT 'held' CHECK (status IN ('held', 'confirmed', 'released', 'expired')),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    -- When it stopped being held, whichever way.
    closed_at  timestamptz,
    CHECK ((status = 'held') = (closed_at IS NULL))
);
-- The sweeper's: what runs out next.
CREATE INDEX seat_hold_due ON seat_hold (expires_at) WHERE status = 'held';
-- The pruner's: what ended without a booking.
CREATE INDEX seat_hold_ended ON seat_hold (closed_at) WHERE status IN ('released', 'expired');

CREATE TABLE seat_hold_line (
    order_id  uuid NOT NULL REFERENCES seat_hold,
    line      smallint NOT NULL,
    -- The name of the accepted offer; what was sealed into it stands in the other columns.
    offer_id  uuid NOT NULL,
    flight_id bigint NOT NULL,
    cabin     text NOT NULL,
    seats     integer NOT NULL CHECK (seats > 0),
    total     numeric(19, 4) NOT NULL,
    currency  text NOT NULL,
    PRIMARY KEY (order_id, line),
    FOREIGN KEY (flight_id, cabin) REFERENCES cabin_inventory
);
-- The foreign key's: which lines keep a flight.
CREATE INDEX seat_hold_line_by_cabin ON seat_hold_line (flight_id, cabin);

-- What was held cannot be talked out of: releasing gives back exactly what holding took.
CREATE FUNCTION refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER seat_hold_line_is_immutable BEFORE UPDATE ON seat_hold_line
    FOR EACH ROW EXECUTE FUNCTION refuse_update();

CREATE SEQUENCE booking_reference_number AS bigint MAXVALUE 1073741823;
CREATE SEQUENCE ticket_number AS bigint MAXVALUE 9999999999;

-- Six characters out of 32 (no 0, 1, I, O), one for each number below 2^30 and never the same for two: odd factors
-- and shifted exclusive ors can be undone, so nothing collides, and neighbors look unrelated.
CREATE FUNCTION record_locator(number bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    mask     constant bigint := 1073741823;
    alphabet constant text := 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789';
    mixed    bigint := (number * 668265263) & mask;
    locator  text := '';
BEGIN
    mixed := mixed # (mixed >> 15);
    mixed := (mixed * 374761393) & mask;
    mixed := mixed # (mixed >> 13);
    FOR place IN 0..5 LOOP
        locator := locator || substr(alphabet, ((mixed >> (place * 5)) & 31)::int + 1, 1);
    END LOOP;
    RETURN locator;
END
$$;

CREATE TABLE flight_booking (
    order_id  uuid PRIMARY KEY REFERENCES seat_hold,
    reference text NOT NULL UNIQUE CHECK (reference ~ '^[A-Z0-9]{6}$'),
    booked_at timestamptz NOT NULL
);

-- One for each traveller and flight.
CREATE TABLE ticket (
    number      text PRIMARY KEY CHECK (number ~ '^[0-9]{13}$'),
    order_id    uuid NOT NULL REFERENCES flight_booking,
    line        smallint NOT NULL,
    traveller   smallint NOT NULL,
    given_name  text NOT NULL,
    family_name text NOT NULL,
    UNIQUE (order_id, line, traveller)
);

-- Conservation as a question: no row of it may ever say false. For tests and for people.
CREATE VIEW inventory_conservation AS
SELECT i.flight_id, i.cabin, i.capacity, i.held, i.sold, i.available,
       coalesce(l.held, 0) AS held_by_lines,
       coalesce(l.sold, 0) AS sold_by_lines,
       i.held = coalesce(l.held, 0) AND i.sold = coalesce(l.sold, 0)
           AND i.available + i.held + i.sold = i.capacity AS conserved
FROM cabin_inventory i
LEFT JOIN (
    SELECT line.flight_id, line.cabin,
           sum(line.seats) FILTER (WHERE hold.status = 'held') AS held,
           sum(line.seats) FILTER (WHERE hold.status = 'confirmed') AS sold
    FROM seat_hold_line line JOIN seat_hold hold USING (order_id)
    GROUP BY line.flight_id, line.cabin
) l USING (flight_id, cabin);
