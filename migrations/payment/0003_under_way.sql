-- The question that the provider is being asked about a payment, from the intent to its record. While it is captured it cannot be
-- undone, and the other way round (captured or voided, never both): each sees the other's intent, not only its result.
ALTER TABLE payment ADD COLUMN under_way text CHECK (under_way IN ('capture', 'undo'));
