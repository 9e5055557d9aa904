-- A value stands in the column of its kind, and in no other; minus zero is a zero that is marked.
SELECT *
FROM typed_values
WHERE
    (kind = 'bool') <> (bool_value IS NOT NULL)
    OR (kind = 'int') <> (int_value IS NOT NULL)
    OR (kind = 'float') <> (float_value IS NOT NULL)
    OR (kind = 'str') <> (text_value IS NOT NULL)
    OR (kind = 'date') <> (date_value IS NOT NULL)
    OR (kind = 'datetime') <> (datetime_value IS NOT NULL)
    OR (kind = 'instant') <> (instant_value IS NOT NULL)
    OR (kind IN ('dict', 'list')) <> (json_value IS NOT NULL)
    OR (minus_zero IS NOT NULL AND (NOT minus_zero OR float_value IS DISTINCT FROM 0))
    OR kind NOT IN ('bool', 'int', 'float', 'str', 'date', 'datetime', 'instant', 'dict', 'list');
