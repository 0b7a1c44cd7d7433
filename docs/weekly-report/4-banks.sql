-- New banks, and how many decisions they change
SELECT created_at, product, version, state, trigger, images, round(image_tau, 4) AS tau, compared_images, compared_to_ng, compared_to_ok
FROM bank_history
WHERE created_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-7 days');
