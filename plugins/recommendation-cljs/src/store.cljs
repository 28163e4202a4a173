;; The SQL of the engine. Every query here has its index, named in the migrations.
(ns store
  (:require ["seam-sdk" :refer [store]]
            ["./walk.cljs" :as walk]))

(def ^:private popular-among
  "The latest baskets in which what is popular is counted."
  2000)

(defn- lines-of
  "All lines of the latest baskets with an album, as pairs of a basket and an album."
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
  "Answers from the purchases as they are now."
  [{:keys [seeds wanted] :as question}]
  (let [chances     (walk/arrivals seeds wanted lines-of)
        suggestions (walk/ranked chances (degrees (walk/candidates chances wanted)) wanted)]
    (if (= (count suggestions) wanted)
      suggestions
      ;; Seeds, and those that are ranked already, may be among the popular ones: as many again are read.
      (walk/filled question suggestions (popular (+ wanted (count seeds) (count suggestions)))))))

(defn learn
  "Keeps the purchases that have not been seen before; all or none. Returns how many those were."
  [baskets]
  (.transaction store
    (fn []
      (let [rows  (.query store
                          "SELECT asked.value FROM json_each(?1) AS asked CROSS JOIN baskets ON baskets.id = asked.value"
                          [(.list store (mapv :id baskets))])
            seen  (js/Set. (.flat rows))
            fresh (.filter baskets (fn [{:keys [id]}] (not (.has seen id))))]
        (.executeMany store "INSERT INTO baskets (id) VALUES (?1)" (.map fresh (fn [{:keys [id]}] [id])))
        (.executeMany store
                      "INSERT INTO lines (sku, basket) SELECT ?1, number FROM baskets WHERE id = ?2"
                      (.flatMap fresh (fn [{:keys [id skus]}] (.map skus (fn [sku] [sku id])))))
        (count fresh)))))
