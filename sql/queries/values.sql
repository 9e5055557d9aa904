-- name: find
-- Which of the staged typed values exist: their positions and the ids they have.
WITH staged AS (
    SELECT
        unnest($positions::BIGINT[]) AS position,
        unnest($feature_id::BIGINT[]) AS feature_id,
        unnest($kind::VARCHAR[]) AS kind,
        unnest($bool_value::BOOLEAN[]) AS bool_value,
        unnest($int_value::BIGINT[]) AS int_value,
        unnest($float_value::DOUBLE[]) AS float_value,
        unnest($text_value::VARCHAR[]) AS text_value,
        unnest($date_value::DATE[]) AS date_value,
        unnest($datetime_value::TIMESTAMP[]) AS datetime_value,
        unnest($instant_value::TIMESTAMP WITH TIME ZONE[]) AS instant_value,
        unnest($json_value::VARCHAR[]) AS json_value,
        unnest($minus_zero::BOOLEAN[]) AS minus_zero
)

SELECT s.position, v.id
FROM staged AS s
JOIN typed_values AS v
    ON s.feature_id = v.feature_id
    AND s.kind = v.kind
    AND s.bool_value IS NOT DISTINCT FROM v.bool_value
    AND s.int_value IS NOT DISTINCT FROM v.int_value
    AND s.float_value IS NOT DISTINCT FROM v.float_value
    AND s.text_value IS NOT DISTINCT FROM v.text_value
    AND s.date_value IS NOT DISTINCT FROM v.date_value
    AND s.datetime_value IS NOT DISTINCT FROM v.datetime_value
    AND s.instant_value IS NOT DISTINCT FROM v.instant_value
    AND s.json_value IS NOT DISTINCT FROM v.json_value
    AND s.minus_zero IS NOT DISTINCT FROM v.minus_zero;

-- name: of_ids
SELECT
    id,
    kind,
    bool_value,
    int_value,
    CASE WHEN minus_zero THEN -abs(float_value) ELSE float_value END AS float_value,
    text_value,
    date_value,
    datetime_value,
    timezone('UTC', instant_value) AS instant_value,
    json_value
FROM typed_values
WHERE id IN (SELECT unnest($ids::BIGINT[]));

-- name: features_of
SELECT DISTINCT feature_id FROM typed_values WHERE id IN (SELECT unnest($ids::BIGINT[]));
