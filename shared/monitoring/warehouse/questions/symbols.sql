-- The symbols that were asked for most
SELECT
  symbol,
  COUNT(*) AS predictions,
  COUNTIF(signal = 'up') AS up,
  COUNTIF(signal = 'down') AS down,
  COUNTIF(signal = 'hold') AS hold,
  MAX(as_of) AS newest_candle,
  MAX(made_at) AS last
FROM predictions
WHERE made_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL @days DAY)
  AND symbol IS NOT NULL
GROUP BY symbol
ORDER BY predictions DESC, symbol
