;; From baskets to suggestions: who stands on an album steps to one of its baskets, and from there to another album in it. Where they
;; most likely arrive is what goes with it, once albums that stand at every corner are counted less. Where that reaches too little, the walk
;; goes on from there. (Paudel, Christoffel, Newell, Bernstein: "Updatable, Accurate, Diverse, and Scalable Recommendations for Interactive
;; Applications", 2016: RP3beta.) All chances are worked out and none is drawn, so the same question has the same answer.
;;
;; Maps that change, and no sequences, in what runs once for each line of a basket: they take a tenth of the time.
(ns walk)

(def baskets-read
  "Baskets, the latest ones, that all seeds of a question are followed to."
  200)

(def second-steps
  "Albums that the walk goes on from, and baskets that each is followed to."
  {:albums 8 :baskets 25})

(def ^:private going-on
  "The chance that it does go on."
  0.5)

(def ^:private corner
  "How much an album's number of baskets counts against it: 0 not at all, 1 in full."
  0.5)

(defn- add [chances sku chance]
  (.set chances sku (+ (or (.get chances sku) 0) chance)))

(defn- by-basket [lines]
  (let [baskets (js/Map.)]
    (.forEach lines (fn [[basket sku]]
                      (if-let [skus (.get baskets basket)]
                        (.push skus sku)
                        (.set baskets basket #js [sku]))))
    baskets))

(defn- step
  "Adds to `chances` where one arrives who stands on `from` with the chance `chance`; `lines` are all lines of its baskets."
  [chances from chance lines]
  (let [baskets (by-basket lines)]
    (.forEach baskets
              (fn [skus]
                (let [share (/ chance (.-size baskets) (max 1 (dec (count skus))))]
                  (.forEach skus (fn [sku] (when (not= sku from) (add chances sku share)))))))))

(defn- best
  "The `n` likeliest, equal ones by SKU."
  [chances n]
  (-> (js/Array.from chances)
      (.sort (fn [[a p] [b q]] (if (= p q) (if (< a b) -1 1) (- q p))))
      (.slice 0 n)))

(defn arrivals
  "The chances to arrive at each album but the seeds. `lines-of` gives the lines of an album's latest baskets, of so many at most."
  [seeds wanted lines-of]
  (let [chances (js/Map.)
        each    (max 1 (quot baskets-read (max 1 (count seeds))))
        forget  (fn [] (doseq [seed seeds] (.delete chances seed)))]
    (doseq [seed seeds]
      (step chances seed (/ 1 (count seeds)) (lines-of seed each)))
    (forget)
    (when (< (.-size chances) wanted)
      (doseq [[sku chance] (best chances (:albums second-steps))]
        (step chances sku (* chance going-on) (lines-of sku (:baskets second-steps))))
      (forget))
    chances))

(defn candidates
  "The albums whose number of baskets must be known to rank `wanted` of them."
  [chances wanted]
  (.map (best chances (* 4 wanted)) first))

(defn ranked
  "The best candidates; `degrees` are pairs of an album and its number of baskets."
  [chances degrees wanted]
  (let [scores (js/Map.)]
    (.forEach degrees (fn [[sku baskets]]
                        (.set scores sku (/ (.get chances sku) (js/Math.pow baskets corner)))))
    (.map (best scores wanted) (fn [[sku score]] {:sku sku :score score}))))

(defn filled
  "Fills up with popular albums, pairs of an album and its number of baskets, which score below all that were ranked."
  [{:keys [seeds wanted]} suggestions popular]
  (let [taken (js/Set. (concat seeds (map :sku suggestions)))
        below (if (seq suggestions) (:score (last suggestions)) 1)
        most  (if (seq popular) (second (first popular)) 0)
        more  (->> popular
                   (remove (fn [[sku _]] (.has taken sku)))
                   (take (- wanted (count suggestions)))
                   (map (fn [[sku baskets]] {:sku sku :score (/ (* below baskets) (inc most))})))]
    (vec (concat suggestions more))))
