-- A running sink encodes rows for a table as its description says. COPY carries no types, so bytes that were
-- made for one description may mean something else in another: before its rows, each transaction makes
-- sure that the table is the one they were made for, and that it stays so until the end.

-- Another text whenever the table was made anew, or a column, a domain of a column, or a right has changed:
-- every such change gives a catalog row another xmin. It runs in every flush: a plan made anew each time
-- would cost three times as much as all the rest.
CREATE FUNCTION pgsluice.table_version(p_table text) RETURNS text
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    relation regclass := to_regclass(p_table);
BEGIN
    RETURN (
        SELECT left(encode(sha256(convert_to(concat_ws(' ', relation::oid,
                             (SELECT c.xmin FROM pg_catalog.pg_class AS c WHERE c.oid = relation),
                             string_agg(concat_ws(' ', a.attnum, a.xmin,
                                                  (SELECT d.xmin FROM pg_catalog.pg_type AS d
                                                    WHERE d.oid = a.atttypid AND d.typtype = 'd')),
                                        ',' ORDER BY a.attnum)),
                                             'UTF8')), 'hex'), 32)
          FROM pg_catalog.pg_attribute AS a
         WHERE a.attrelid = relation AND a.attnum > 0
    );
END
$$;

-- The lock is the one that COPY takes a moment later. A role that may INSERT into some columns only can not
-- take it in advance, nor can one be taken on a foreign table.
CREATE FUNCTION pgsluice.expect_table(p_table text, p_version text) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    relation regclass := to_regclass(p_table);
BEGIN
    IF has_table_privilege(relation, 'INSERT')
       AND (SELECT relkind IN ('r', 'p') FROM pg_catalog.pg_class WHERE oid = relation) THEN
        EXECUTE format('LOCK TABLE ONLY %s IN ROW EXCLUSIVE MODE', relation);
    END IF;
    IF pgsluice.table_version(p_table) IS DISTINCT FROM p_version THEN
        RAISE EXCEPTION 'table % has changed', p_table USING ERRCODE = 'PS002';
    END IF;
END
$$;
