-- A typed value stands once per feature; zero and minus zero are two values.
SELECT feature_id, kind, hash, count(*) AS times
FROM feature_values
GROUP BY feature_id, kind, hash
HAVING count(*) > 1;
