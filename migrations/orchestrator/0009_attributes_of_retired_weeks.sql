-- A week that is on its way out is no part of the table any more; its export reads the column too.
DO $$
DECLARE
    retired text;
BEGIN
    FOR retired IN SELECT 'retired_saga_' || week FROM retired_week WHERE state <> 'dropped' LOOP
        EXECUTE format('ALTER TABLE IF EXISTS %I ADD COLUMN attributes jsonb', retired);
    END LOOP;
END $$;
