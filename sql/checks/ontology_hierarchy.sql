-- The terms above and below each other are there, and no term is above itself.
WITH terms AS (
    SELECT 'organisms.parents' AS relation, id FROM organisms
    UNION ALL
    SELECT 'cell_types.parents', id FROM cell_types
    UNION ALL
    SELECT 'tissues.parents', id FROM tissues
    UNION ALL
    SELECT 'diseases.parents', id FROM diseases
    UNION ALL
    SELECT 'cell_lines.parents', id FROM cell_lines
    UNION ALL
    SELECT 'phenotypes.parents', id FROM phenotypes
    UNION ALL
    SELECT 'pathways.parents', id FROM pathways
    UNION ALL
    SELECT 'developmental_stages.parents', id FROM developmental_stages
    UNION ALL
    SELECT 'experimental_factors.parents', id FROM experimental_factors
    UNION ALL
    SELECT 'ethnicities.parents', id FROM ethnicities
),

parents AS (
    SELECT relation, from_id, to_id FROM links
    WHERE relation IN (SELECT relation FROM terms)
)

SELECT 'child' AS missing, p.* FROM parents AS p
ANTI JOIN terms AS t ON p.relation = t.relation AND p.from_id = t.id
UNION ALL
SELECT 'parent', p.* FROM parents AS p
ANTI JOIN terms AS t ON p.relation = t.relation AND p.to_id = t.id
UNION ALL
SELECT 'distinct parent', * FROM parents
WHERE from_id = to_id;
