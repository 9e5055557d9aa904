-- An annotation has an entity, a feature, a change, and a value of that feature or a category.
WITH annotations AS (
    SELECT 'artifact' AS entity, * FROM artifact_annotations
    UNION ALL
    SELECT 'run', * FROM run_annotations
    UNION ALL
    SELECT 'record', * FROM record_annotations
),

entities AS (
    SELECT 'artifact' AS entity, id FROM artifacts
    UNION ALL
    SELECT 'run', id FROM runs
    UNION ALL
    SELECT 'record', id FROM records
)

SELECT 'entity' AS missing, a.* FROM annotations AS a
ANTI JOIN entities AS e ON a.entity = e.entity AND a.entity_id = e.id
UNION ALL
SELECT 'feature', a.* FROM annotations AS a
ANTI JOIN features AS f ON a.feature_id = f.id
UNION ALL
SELECT 'change', a.* FROM annotations AS a
ANTI JOIN changes AS c ON a.change_id = c.id
UNION ALL
SELECT 'value', a.* FROM annotations AS a
JOIN features AS f ON a.feature_id = f.id AND NOT starts_with(f.dtype, 'cat[')
ANTI JOIN typed_values AS v ON a.value_id = v.id AND a.feature_id = v.feature_id;
