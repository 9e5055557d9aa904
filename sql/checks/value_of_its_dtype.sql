-- The kind of a value is one that the dtype of its feature has.
SELECT
    v.id,
    v.kind,
    v.feature_id,
    f.dtype
FROM typed_values AS v
INNER JOIN features AS f ON v.feature_id = f.id
WHERE
    NOT list_contains(
        CASE
            WHEN f.dtype = 'num' THEN ['int', 'float']
            WHEN f.dtype = 'datetime' THEN ['datetime', 'instant']
            WHEN f.dtype = 'datetime[UTC]' THEN ['instant']
            WHEN f.dtype IN ('path', 'url') THEN ['str']
            WHEN starts_with(f.dtype, 'list') THEN ['list']
            WHEN f.dtype IS NULL OR starts_with(f.dtype, 'cat[') THEN []
            ELSE [f.dtype]
        END,
        v.kind
    );
