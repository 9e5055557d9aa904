-- name: taxonomy
-- The taxa of the NCBI taxonomy, from its files of names and nodes: scientific name, all other names, parent.
-- The files separate columns by a bar between tabulators and quote nothing.
WITH names AS (
    SELECT
        trim(tax_id) AS tax_id,
        replace(name, '|', '/') AS name,
        rtrim(name_class, chr(9) || '|') AS name_class
    FROM
        read_csv(
            $names,
            delim = '	|	',
            header = FALSE,
            quote = '',
            escape = '',
            auto_detect = FALSE,
            columns = {
                'tax_id': 'VARCHAR', 'name': 'VARCHAR', 'unique_name': 'VARCHAR', 'name_class': 'VARCHAR'
            }
        )
),

taxa AS (
    SELECT
        tax_id,
        min(name) FILTER (name_class = 'scientific name') AS name,
        string_agg(DISTINCT name, '|' ORDER BY name) FILTER (name_class <> 'scientific name') AS synonyms
    FROM names
    GROUP BY tax_id
),

nodes AS (
    SELECT
        trim(column0) AS tax_id,
        trim(column1) AS parent
    FROM read_csv($nodes, delim = '	|	', header = FALSE, quote = '', escape = '', all_varchar = TRUE)
)

SELECT
    t.name,
    t.name AS scientific_name,
    t.synonyms,
    'NCBITaxon:' || t.tax_id AS ontology_id,
    CASE WHEN n.parent <> t.tax_id THEN ['NCBITaxon:' || n.parent] ELSE [] END AS parents
FROM taxa AS t
LEFT JOIN nodes AS n ON t.tax_id = n.tax_id
WHERE t.name IS NOT NULL;
