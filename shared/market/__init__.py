"""Candles: types, the upstream client, checks, the candle store."""
