-- Images without a decision
SELECT product, reason_code, count(*) AS images, max(decided_at) AS last
FROM inspections
WHERE state = 'failed' AND decided_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-7 days')
GROUP BY product, reason_code
ORDER BY images DESC;
