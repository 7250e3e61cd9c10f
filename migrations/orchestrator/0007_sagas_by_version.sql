-- The sagas of one version of a definition, newest first. Lists of all its versions merge a scan of each, so that the index by
-- name alone is not needed any more: a saga pays for as many indexes as before.
CREATE INDEX saga_by_version ON saga (name, version, id);
DROP INDEX saga_by_name;
