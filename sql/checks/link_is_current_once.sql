-- A direct relation holds once at a time.
SELECT relation, from_id, to_id, count(*) AS times
FROM current_links
GROUP BY relation, from_id, to_id
HAVING count(*) > 1;
