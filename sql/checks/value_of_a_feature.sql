-- A value belongs to a feature that is there.
SELECT v.id, v.feature_id
FROM typed_values AS v
ANTI JOIN features AS f ON v.feature_id = f.id;
