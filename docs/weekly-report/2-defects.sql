-- The 20 clearest defects
SELECT decided_at, product, image_path, round(image_score, 4) AS score, round(image_tau, 4) AS tau, round(image_ratio, 2) AS ratio, overlay_path
FROM defect_history
WHERE decided_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-7 days')
ORDER BY image_ratio DESC
LIMIT 20;
