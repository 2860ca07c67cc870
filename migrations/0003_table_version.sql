-- A running sink encodes rows for a table as its description says. COPY carries no types, so bytes that were
-- made for one description may mean something else in another: before its rows, each transaction makes
-- sure that the table is the one they were made for, and that it stays so until the end.

-- Another text whenever the table was made anew, or a column, a domain of a column, or a right has changed:
-- every such change gives a catalog row another xmin. NULL: there is no such table.
CREATE FUNCTION pgsluice.table_version(p_table text) RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN (
        SELECT md5(concat_ws(' ', c.oid, c.xmin,
                             string_agg(concat_ws(' ', a.attnum, a.xmin, d.xmin), ',' ORDER BY a.attnum)))
          FROM pg_catalog.pg_class AS c
          LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
          LEFT JOIN pg_catalog.pg_type AS d ON d.oid = a.atttypid AND d.typtype = 'd'
         WHERE c.oid = to_regclass(p_table)
         GROUP BY c.oid, c.xmin
    );
END
$$;

-- The lock is the one that COPY takes a moment later. A role that may INSERT into some columns only can not
-- take it in advance, nor can one be taken on a foreign table.
CREATE FUNCTION pgsluice.expect_table(p_table text, p_version text) RETURNS void
LANGUAGE plpgsql
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
