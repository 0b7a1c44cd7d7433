-- Yield of the last 7 days
SELECT product, count(*) AS images, sum(decision = 'ok') AS ok, sum(decision = 'ng') AS ng, sum(state = 'failed') AS failed,
       round(100.0 * avg(decision = 'ng'), 2) AS ng_percent,
       round(avg(CASE WHEN decision = 'ok' THEN image_score / nullif(image_tau, 0) END), 3) AS ok_ratio
FROM inspections
WHERE seen_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-7 days')
GROUP BY product
ORDER BY product;
