-- Split a column: the new ones, and a trigger that fills them for the release before, which writes the old one only. A
-- backfill follows for the rows that there are; in a later release the trigger goes, and then the old column.

-- +goose Up
ALTER TABLE customers ADD COLUMN given_name text, ADD COLUMN family_name text;

-- +goose StatementBegin
CREATE FUNCTION customers_split_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.given_name := split_part(NEW.name, ' ', 1);
  NEW.family_name := substr(NEW.name, length(NEW.given_name) + 2);
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER customers_split_name BEFORE INSERT OR UPDATE OF name ON customers
  FOR EACH ROW EXECUTE FUNCTION customers_split_name();

-- +goose Down
DROP TRIGGER customers_split_name ON customers;
DROP FUNCTION customers_split_name;
ALTER TABLE customers DROP COLUMN given_name, DROP COLUMN family_name;
