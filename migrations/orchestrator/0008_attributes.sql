-- The search attributes of a saga, read from its input when it starts; NULL for a saga without any. Lists show them from here.
ALTER TABLE saga ADD COLUMN attributes jsonb;

-- The sagas that share a value of an attribute, newest first: what a list by attributes reads, and written once, when the saga starts,
-- however often its row changes. Not cut by time, so that one look finds the sagas of every week.
CREATE TABLE saga_attribute (
    name    text NOT NULL,
    value   text NOT NULL,
    saga_id uuid NOT NULL,
    PRIMARY KEY (name, value, saga_id)
);
