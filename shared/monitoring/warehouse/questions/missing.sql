-- Which features were missing how often, per feature set and place in its order
SELECT
  feature_set_hash,
  place,
  COUNT(*) AS predictions,
  COUNTIF(value IS NULL) AS missing
FROM predictions
CROSS JOIN UNNEST(JSON_VALUE_ARRAY(features)) AS value WITH OFFSET AS place
WHERE made_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL @days DAY)
GROUP BY feature_set_hash, place
HAVING COUNTIF(value IS NULL) > 0
ORDER BY missing DESC, feature_set_hash, place
