-- A number that is marked is minus zero, whichever zero is stored: a log that is replayed after a kill sets
-- the number to what it equals, which leaves its sign as it was.
CREATE OR REPLACE VIEW feature_values AS
SELECT
    v.*,
    coalesce(
        v.bool_value::VARCHAR,
        v.int_value::VARCHAR,
        v.float_value::VARCHAR,
        v.text_value,
        v.date_value::VARCHAR,
        v.datetime_value::VARCHAR,
        v.instant_value::VARCHAR,
        v.json_value
    ) AS value,
    left(translate(to_base64(unhex(md5(v.kind || ':' || CASE v.kind
        WHEN 'bool' THEN v.bool_value::VARCHAR
        WHEN 'int' THEN v.int_value::VARCHAR
        WHEN 'float' THEN CASE
            WHEN isnan(v.float_value) THEN '0111111111111000000000000000000000000000000000000000000000000000'
            ELSE v.float_value::BIT::VARCHAR
        END
        WHEN 'str' THEN v.text_value
        WHEN 'date' THEN date_diff('day', DATE '1970-01-01', v.date_value)::VARCHAR
        WHEN 'datetime' THEN epoch_us(v.datetime_value)::VARCHAR
        WHEN 'instant' THEN epoch_us(v.instant_value)::VARCHAR
        ELSE v.json_value
    END))), '+/', '-_'), 22) AS hash
FROM (
    SELECT
        * REPLACE (CASE WHEN minus_zero THEN -abs(float_value) ELSE float_value END AS float_value)
    FROM typed_values
) AS v;
