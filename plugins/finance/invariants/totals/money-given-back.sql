-- Money is given back for the copies that came back, and otherwise only by a person with a name.
SELECT p.number,
  p.refunded - coalesce((
    SELECT sum(e.lines ->> '$[0][2]') FROM entries AS e JOIN givers AS g ON g.entry = e.id
    WHERE e.number = p.number AND e.lines ->> '$[0][0]' = 'refunds'), 0),
  p.refunded
FROM payments AS p WHERE p.refunded > 0
