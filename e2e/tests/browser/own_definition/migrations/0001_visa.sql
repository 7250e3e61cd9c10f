-- What the visa desk has done, in the order of its doing.
CREATE TABLE visa_work (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    visa   text NOT NULL,
    work   text NOT NULL
);
