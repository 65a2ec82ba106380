-- Full-text search, and filters by what lists and objects hold, that use an index under row level security.
--
-- The operators that such indexes answer (@@, &&, @>) are not leakproof, so that under row level security PostgreSQL
-- looks at every row of the tenant instead. Hence a table that is searched has one column with all that can be looked
-- for, each word and value with the tenant in front of it, one GIN index, and one function find_<table> that may look
-- past row level security, at that column only, and answers with the ids of one tenant's rows.

-- +goose Up
CREATE EXTENSION IF NOT EXISTS unaccent WITH SCHEMA public;

-- +goose StatementBegin
-- search_words splits a text into its words, in the form in which they are compared: without case and accents. Of a
-- text that is very long it reads the beginning.
CREATE FUNCTION search_words(content text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
  content := left(content, 20000);
  IF octet_length(content) = length(content) THEN
    content := lower(regexp_replace(content, '[^a-zA-Z0-9]+', ' ', 'g') COLLATE "C");
  ELSE
    -- Beyond Latin, marks and symbols are part of words, too: many scripts need them.
    content := regexp_replace(
      lower(public.unaccent('public.unaccent', regexp_replace(normalize(content, NFKD), '[\u0300-\u036f]+', '', 'g'))
        COLLATE "und-x-icu"),
      '([^[:alnum:]\u0370-\u1fff\u2070-\u2fff\u3040-\U0010ffff]|[[:punct:][:space:][:cntrl:]])+', ' ', 'g');
  END IF;
  RETURN array_remove(string_to_array(content, ' '), '');
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- search_prefix stands in front of a tenant's words and values, so that what other tenants have plenty of costs a
-- search nothing. It need not be unique: whoever looks compares the tenant as well.
CREATE FUNCTION search_prefix(tenant uuid) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN right(tenant::text, 12);
-- +goose StatementEnd

-- +goose StatementBegin
-- search_value is one value of a list, or of an object under a key, as it is looked for.
CREATE FUNCTION search_value(tenant uuid, field text, key text, value jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN public.search_prefix(tenant) || '#' || left(md5(field || E'\x1f' || key || E'\x1f' ||
  CASE jsonb_typeof(value) WHEN 'number' THEN trim_scale(value::numeric)::text ELSE value::text END), 16);
-- +goose StatementEnd

-- +goose StatementBegin
-- search_vector is what a row's texts can be found by: their words. A match in the first text weighs most, in the
-- fourth and those after it least. The first 2,000 words count.
CREATE FUNCTION search_vector(tenant uuid, texts text[]) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  prefix text := '''' || public.search_prefix(tenant);
  words  text[];
  word   text;
  vector text := '';
  n      int := 0;
BEGIN
  FOR i IN 1 .. cardinality(texts) LOOP
    CONTINUE WHEN texts[i] IS NULL OR texts[i] = '';
    words := public.search_words(texts[i]);
    FOREACH word IN ARRAY words[: 2000 - n] LOOP
      n := n + 1;
      vector := vector || prefix || left(word, 40) || ''':' || n || substr('ABCD', least(i, 4), 1) || ' ';
    END LOOP;
  END LOOP;
  RETURN vector::tsvector;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- search_text is the text of a list, to find it by its words.
CREATE FUNCTION search_text(list text[]) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN array_to_string(list, ' ');
-- +goose StatementEnd

-- +goose StatementBegin
-- search_values is what a row can be found by as one of those whose list holds a value.
CREATE FUNCTION search_values(tenant uuid, field text, list text[]) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  terms text[] := '{}';
  item  text;
BEGIN
  IF list IS NULL OR list = '{}' THEN
    RETURN '';
  END IF;
  FOREACH item IN ARRAY list LOOP
    IF item IS NOT NULL THEN
      terms := terms || public.search_value(tenant, field, '', to_jsonb(item));
    END IF;
  END LOOP;
  RETURN array_to_tsvector(terms);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The same for an object that holds a value under a key.
CREATE FUNCTION search_values(tenant uuid, field text, object jsonb) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  IF jsonb_typeof(object) IS DISTINCT FROM 'object' OR object = '{}' THEN
    RETURN '';
  END IF;
  RETURN array_to_tsvector(ARRAY(
    SELECT public.search_value(tenant, field, key, value) FROM jsonb_each(object)
    WHERE jsonb_typeof(value) IN ('string', 'number', 'boolean')));
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- search_query is the condition that a search_vector holds every word of the content, the last as the beginning of a
-- word. It is NULL where the content has no word. Whatever the content is, it is no error.
CREATE FUNCTION search_query(tenant uuid, content text) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT (string_agg('''' || public.search_prefix(tenant) || left(word, 40) || '''', ' & ') || ':*')::tsquery
  FROM unnest((public.search_words(content))[: 100]) word);
-- +goose StatementEnd

-- +goose StatementBegin
-- search_query_values is the condition that every one of the wishes holds: [{"field": "tags", "any": ["new", "vip"]},
-- {"field": "custom", "key": "level", "all": [3]}]. It is NULL where there is none.
CREATE FUNCTION search_query_values(tenant uuid, wishes jsonb) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT string_agg('(' || (
    SELECT string_agg('''' || public.search_value(tenant, wish->>'field', coalesce(wish->>'key', ''), value) || '''',
      CASE WHEN wish ? 'any' THEN ' | ' ELSE ' & ' END)
    FROM jsonb_array_elements(coalesce(wish->'any', wish->'all')) value) || ')', ' & ')::tsquery
  FROM jsonb_array_elements(wishes) wish);
-- +goose StatementEnd

-- +goose StatementBegin
-- uuid7_moment is when a UUIDv7 was made; of any other UUID it is some moment or other.
CREATE FUNCTION uuid7_moment(id uuid) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0);
-- +goose StatementEnd

-- +goose StatementBegin
-- make_searchable gives a table what its resource's search and filters need: SELECT make_searchable('customers',
-- ARRAY['code', 'name', 'email'], ARRAY['tags', 'custom']). The texts are the columns that are searched for words, in
-- the order of the resource's fields; the collections are columns of text[] and jsonb that are filtered by what they
-- hold. A table that is searchable already is changed to that. The table is rewritten: call it where a table is made.
CREATE FUNCTION make_searchable(target regclass, texts text[], collections text[] DEFAULT '{}') RETURNS void
LANGUAGE plpgsql AS $make$
DECLARE
  bare      text := (SELECT relname FROM pg_class WHERE oid = target);
  full_name text := (SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = target);
  finder    text := 'find_' || bare;
  columns   text[] := ARRAY[]::text[];
  parts     text[] := ARRAY[]::text[];
  name      text;
  kind      text;
BEGIN
  FOREACH name IN ARRAY texts || ARRAY(SELECT c FROM unnest(collections) c WHERE c <> ALL (texts)) LOOP
    kind := (SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = target AND attname = name AND NOT attisdropped);
    IF kind IS NULL OR kind NOT IN ('text', 'text[]') AND (name = ANY (texts) OR kind <> 'jsonb') THEN
      RAISE EXCEPTION '% has no column % that can be searched: texts are text or text[], collections text[] or jsonb', target, name;
    END IF;
    IF name = ANY (texts) THEN
      columns := columns || CASE kind WHEN 'text' THEN format('%I', name) ELSE format('search_text(%I)', name) END;
    END IF;
    IF name = ANY (collections) THEN
      parts := parts || format('search_values(tenant_id, %L, %I)', name, name);
    END IF;
  END LOOP;
  IF columns <> '{}' THEN
    parts := format('search_vector(tenant_id, ARRAY[%s])', array_to_string(columns, ', ')) || parts;
  END IF;
  EXECUTE format('DROP FUNCTION IF EXISTS %I (tsquery, tsquery, int)', finder);
  EXECUTE format('ALTER TABLE %s DROP COLUMN IF EXISTS search_terms', target);
  EXECUTE format('ALTER TABLE %s ADD COLUMN search_terms tsvector NOT NULL GENERATED ALWAYS AS (%s) STORED',
    target, array_to_string(parts, ' || '));
  -- New rows wait in a list that each search reads; a short one keeps that quick.
  EXECUTE format('CREATE INDEX %I ON %s USING gin (search_terms) WITH (gin_pending_list_limit = 512)', bare || '_search_terms_idx', target);
  EXECUTE format('DROP POLICY IF EXISTS search ON %s', target);
  EXECUTE format('CREATE POLICY search ON %s FOR SELECT TO groundwork_search USING (true)', target);
  EXECUTE format('GRANT SELECT (tenant_id, id, search_terms) ON %s TO groundwork_search', target);

  -- The function answers with the tenant's rows for which the terms are as wanted, and how well each fits the ranking;
  -- with NULL where they are more than so many: to read the tenant's rows in order until a page is full is quicker then.
  EXECUTE format($create$
    CREATE FUNCTION %1$I(wanted tsquery, ranking tsquery, most int, OUT ids uuid[], OUT ranks real[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    SET plan_cache_mode = force_custom_plan SET enable_seqscan = off SET enable_indexscan = on SET jit = off AS $find$
    DECLARE
      tenant uuid := public.current_tenant();
      first  timestamptz;
      last   timestamptz;
      hits   int;
      places int;
    BEGIN
      ids := '{}';
      ranks := '{}';
      IF tenant IS NULL OR wanted IS NULL THEN
        RETURN;
      END IF;
      -- What a tenth of the rows have that are looked at in 16 places from the oldest to the newest, and most of the
      -- places have, is not worth counting, if there are rows enough.
      first := public.uuid7_moment((SELECT t.id FROM %2$s t WHERE t.tenant_id = tenant ORDER BY t.id LIMIT 1));
      last := public.uuid7_moment((SELECT t.id FROM %2$s t WHERE t.tenant_id = tenant ORDER BY t.id DESC LIMIT 1));
      SELECT count(*), count(DISTINCT place) INTO hits, places
      FROM generate_series(0, 15) place, LATERAL (
        SELECT t.search_terms FROM %2$s t
        WHERE t.tenant_id = tenant AND t.id >= public.uuid7_floor(first + (last - first) * place / 16) ORDER BY t.id LIMIT 32
      ) sample WHERE sample.search_terms @@ wanted;
      IF places >= 12 AND hits >= 51 AND EXISTS (
        SELECT FROM %2$s t WHERE t.tenant_id = tenant ORDER BY t.id OFFSET 5 * most::bigint * 512 / hits LIMIT 1
      ) THEN
        ids := NULL;
        ranks := NULL;
        RETURN;
      END IF;
      -- The index of terms and no other, however many rows PostgreSQL expects: IS NOT DISTINCT FROM is answered by none.
      -- The setting is back when the function returns.
      PERFORM set_config('enable_indexscan', 'off', true);
      SELECT coalesce(array_agg(found.id), '{}'), coalesce(array_agg(found.rank), '{}') INTO ids, ranks FROM (
        SELECT t.id, ts_rank(t.search_terms, ranking) AS rank FROM %2$s t
        WHERE t.tenant_id IS NOT DISTINCT FROM tenant AND t.search_terms @@ wanted LIMIT most::bigint + 1
      ) found;
      IF cardinality(ids) > most THEN
        ids := NULL;
        ranks := NULL;
      END IF;
    END $find$ $create$, finder, full_name);
  EXECUTE format('REVOKE EXECUTE ON FUNCTION %I FROM PUBLIC', finder);
  EXECUTE format('GRANT EXECUTE ON FUNCTION %I TO groundwork_app, groundwork_worker', finder);
  -- Whoever gets a function must be allowed to have made it.
  GRANT CREATE ON SCHEMA public TO groundwork_search;
  EXECUTE format('ALTER FUNCTION %I OWNER TO groundwork_search', finder);
  REVOKE CREATE ON SCHEMA public FROM groundwork_search;
END $make$;
-- +goose StatementEnd

-- lint: allow rewrite: before the first release, when no installation has rows
SELECT make_searchable('customers', ARRAY['code', 'name', 'email'], ARRAY['tags', 'custom']);
-- lint: allow rewrite: before the first release, when no installation has rows
-- lint: allow one-lock: before the first release, when nobody reads
SELECT make_searchable('orders', ARRAY['number', 'note'], ARRAY['tags', 'custom']);

-- +goose Down
DROP FUNCTION find_orders, find_customers;
DROP POLICY search ON orders;
DROP POLICY search ON customers;
REVOKE SELECT (tenant_id, id) ON orders, customers FROM groundwork_search;
ALTER TABLE orders DROP COLUMN search_terms;
ALTER TABLE customers DROP COLUMN search_terms;
DROP FUNCTION make_searchable, uuid7_moment, search_query_values, search_query, search_values(uuid, text, jsonb), search_values(uuid, text, text[]),
  search_text, search_vector, search_value, search_prefix, search_words;
DROP EXTENSION unaccent;
