CREATE TABLE seat_pool (
    pool  text PRIMARY KEY,
    free  integer NOT NULL CHECK (free >= 0),
    taken integer NOT NULL CHECK (taken >= 0)
);
CREATE TABLE seat (
    holder uuid PRIMARY KEY,
    pool   text NOT NULL REFERENCES seat_pool
);
-- Somebody outside, reached by a connection of its own.
CREATE SCHEMA outside;
CREATE TABLE outside.grant_of (key text PRIMARY KEY, live boolean NOT NULL);
CREATE TABLE outside.call (key text NOT NULL);
CREATE TABLE granted (holder uuid PRIMARY KEY, key text NOT NULL);
INSERT INTO seat_pool VALUES ('wide', 100000, 0), ('narrow', 1, 0), ('none', 0, 0);
-- Without a key: a guest who is greeted twice is to be seen.
CREATE TABLE greeting (guest uuid NOT NULL);
CREATE TABLE visit (visit_id uuid PRIMARY KEY, ended_at timestamptz);
