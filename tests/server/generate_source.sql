-- generate_source: six related tables with skew, as a shop's database would have them.
SELECT setseed(0.5);
CREATE EXTENSION pg_trgm;
CREATE SCHEMA app;
CREATE TYPE app.order_state AS ENUM ('new', 'paid', 'sent', 'returned');
CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);

CREATE TABLE app.customers (
    id bigserial PRIMARY KEY,
    email text NOT NULL,
    plan text NOT NULL CHECK (plan IN ('free', 'gold')),
    phone varchar(20),
    born date,
    credit numeric(10, 2) NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL
);
CREATE TABLE app.products (
    sku uuid PRIMARY KEY,
    title text NOT NULL,
    tags text[] NOT NULL,
    attributes jsonb NOT NULL,
    weight double precision NOT NULL
) WITH (fillfactor = 80);
CREATE TABLE app.orders (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL,
    state app.order_state NOT NULL,
    placed_at timestamptz NOT NULL,
    sent_at timestamptz,
    coupon text,
    client inet
);
CREATE TABLE app.lines (
    order_id int NOT NULL,
    line smallint NOT NULL,
    sku uuid NOT NULL,
    amount app.positive NOT NULL,
    total numeric(10, 2) NOT NULL,
    doubled numeric GENERATED ALWAYS AS (total * 2) STORED,
    PRIMARY KEY (order_id, line)
);
CREATE TABLE app.reviews (
    sku uuid NOT NULL,
    customer_id bigint NOT NULL,
    stars int NOT NULL,
    words text,
    PRIMARY KEY (sku, customer_id)
);
CREATE TABLE app.untouched (id serial PRIMARY KEY, note text, seen tsvector);
CREATE VIEW app.totals AS SELECT order_id, sum(total) FROM app.lines GROUP BY 1;

INSERT INTO app.customers (email, plan, phone, born, credit, created_at)
SELECT 'c' || i || '@mail' || i % 40 || '.example', CASE WHEN i % 8 = 0 THEN 'gold' ELSE 'free' END,
       CASE WHEN i % 3 > 0 THEN '+49 ' || 100000 + i * 7 END, date '1950-01-01' + i % 18000,
       round((random() * 900)::numeric, 2), now() - interval '400 days' + i * interval '1 hour'
FROM generate_series(1, 8000) AS i;
INSERT INTO app.products
SELECT md5('p' || i)::uuid, 'Product ' || md5(i::text), ARRAY['t' || i % 7, 't' || i % 11],
       jsonb_build_object('colour', 'c' || i % 9, 'number', i), random() * 40
FROM generate_series(1, 2000) AS i;
INSERT INTO app.orders (customer_id, state, placed_at, sent_at, coupon, client)
SELECT 1 + floor(8000 * power(random(), 5)), state::app.order_state, at,
       CASE WHEN state IN ('sent', 'returned') THEN at + interval '2 days' END,
       CASE WHEN i % 10 = 0 THEN 'SAVE' || i % 50 END, '10.0.0.0'::inet + i % 5000
FROM (SELECT i, CASE WHEN i > 29000 THEN 'new' WHEN i % 40 = 0 THEN 'returned'
                     WHEN i % 7 = 0 THEN 'paid' ELSE 'sent' END AS state,
             now() - interval '300 days' + i * interval '14 minutes' AS at
      FROM generate_series(1, 30000) AS i) AS o;
INSERT INTO app.lines
SELECT o, l, md5('p' || 1 + floor(2000 * power(random(), 3)))::uuid, 1 + floor(random() * 4),
       round((random() * 200)::numeric, 2)
FROM generate_series(1, 30000) AS o, generate_series(1, 1 + o % 4) AS l;
INSERT INTO app.reviews
SELECT DISTINCT ON (1, 2) md5('p' || 1 + floor(2000 * power(random(), 2)))::uuid,
       1 + floor(8000 * random()), 1 + floor(5 * sqrt(random())), repeat('good ', i % 30)
FROM generate_series(1, 10000) AS i;
INSERT INTO app.untouched (note) SELECT 'n' || i FROM generate_series(1, 50) AS i;

CREATE UNIQUE INDEX customers_email ON app.customers (lower(email));
CREATE INDEX orders_customer ON app.orders (customer_id, placed_at DESC);
CREATE INDEX products_title ON app.products USING gin (title gin_trgm_ops);
ALTER TABLE app.orders ADD CONSTRAINT orders_once UNIQUE (placed_at);
CREATE INDEX orders_open ON app.orders (placed_at) WHERE state = 'new';
ALTER TABLE app.orders ADD FOREIGN KEY (customer_id) REFERENCES app.customers;
ALTER TABLE app.lines ADD FOREIGN KEY (order_id) REFERENCES app.orders;
ALTER TABLE app.lines ADD FOREIGN KEY (sku) REFERENCES app.products;
ALTER TABLE app.reviews ADD FOREIGN KEY (sku) REFERENCES app.products;
ALTER TABLE app.reviews ADD FOREIGN KEY (customer_id) REFERENCES app.customers;
