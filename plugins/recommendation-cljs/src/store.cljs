;; The SQL of the engine. A comment in the migrations names each query's index.
(ns store
  (:require ["seam-sdk" :refer [store]]
            ["./walk.cljs" :as walk]))

(def ^:private popular-among
  "Popular albums are counted in this many of the latest baskets."
  2000)

(defn- lines-of
  "All lines of the latest baskets with an album, as pairs of basket and album."
  [sku baskets]
  (.query store
          "SELECT near.basket, line.sku
           FROM (SELECT basket FROM lines WHERE sku = ?1 ORDER BY basket DESC LIMIT ?2) AS near
           CROSS JOIN lines AS line ON line.basket = near.basket"
          [sku baskets]))

(defn- degrees [skus]
  (.query store
          "SELECT asked.value, (SELECT count(*) FROM lines WHERE sku = asked.value) FROM json_each(?1) AS asked"
          [(.list store skus)]))

(defn- popular [n]
  (.query store
          "SELECT sku, count(*) AS baskets FROM lines INDEXED BY lines_by_basket
           WHERE basket > (SELECT ifnull(max(number), 0) FROM baskets) - ?1
           GROUP BY sku ORDER BY baskets DESC, sku LIMIT ?2"
          [popular-among n]))

(defn answer
  "The suggestions, from the present purchases: albums that the walk reaches, or without seeds the popular ones."
  [{:keys [seeds wanted]}]
  (if (empty? seeds)
    (mapv (fn [[sku baskets]] {:sku sku :score baskets}) (popular wanted))
    (let [chances (walk/arrivals seeds wanted lines-of)]
      (walk/ranked chances (degrees (walk/candidates chances wanted)) wanted))))

(defn learn
  "Stores purchases that are new; all or none. Returns how many were new."
  [baskets]
  (.transaction store
    (fn []
      (let [rows  (.query store
                          "SELECT asked.value FROM json_each(?1) AS asked CROSS JOIN baskets ON baskets.id = asked.value"
                          [(.list store (mapv :id baskets))])
            seen  (js/Set. (.flat rows))
            added (.filter baskets (fn [{:keys [id]}] (not (.has seen id))))]
        (.executeMany store "INSERT INTO baskets (id) VALUES (?1)" (.map added (fn [{:keys [id]}] [id])))
        (.executeMany store
                      "INSERT INTO lines (sku, basket) SELECT ?1, number FROM baskets WHERE id = ?2"
                      (.flatMap added (fn [{:keys [id skus]}] (.map skus (fn [sku] [sku id])))))
        (count added)))))
