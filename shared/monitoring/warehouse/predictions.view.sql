-- Every prediction once. What is delivered twice is equal, so that any of the copies will do.
SELECT *
FROM ${table}
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY made_at, prediction_id) = 1
