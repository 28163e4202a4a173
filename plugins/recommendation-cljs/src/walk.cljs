;; From baskets to suggestions: a random walk steps from an album to one of its baskets, and from there to another album
;; in it. The most probable arrivals, with popular albums weighted down, are the suggestions. If the walk reaches too
;; few albums, it continues from them. (Paudel, Christoffel, Newell, Bernstein: "Updatable, Accurate, Diverse, and
;; Scalable Recommendations for Interactive Applications", 2016: RP3beta.) The probabilities are computed exactly, so
;; the same question always has the same answer.
;;
;; Code that runs for each line of a basket uses mutable maps instead of sequences, which take ten times as long.
(ns walk)

(def baskets-read
  "How many of the latest baskets are read for all seeds of a question."
  200)

(def second-steps
  "From how many albums the walk continues, and how many baskets are read for each."
  {:albums 8 :baskets 25})

(def ^:private continuation
  "The probability that the walk continues."
  0.5)

(def ^:private popularity-penalty
  "How much an album's number of baskets lowers its score: 0 not at all, 1 in full."
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
  "Adds the arrivals of a step from album `from`, reached with probability `chance`; `lines` are those of its baskets."
  [chances from chance lines]
  (let [baskets (by-basket lines)]
    (.forEach baskets
              (fn [skus]
                (let [share (/ chance (.-size baskets) (max 1 (dec (count skus))))]
                  (.forEach skus (fn [sku] (when (not= sku from) (add chances sku share)))))))))

(defn- best
  "The `n` most probable albums, equal ones by SKU."
  [chances n]
  (-> (js/Array.from chances)
      (.sort (fn [[a p] [b q]] (if (= p q) (if (< a b) -1 1) (- q p))))
      (.slice 0 n)))

(defn arrivals
  "The probability to arrive at each album except the seeds. `lines-of` reads the lines of an album's latest baskets."
  [seeds wanted lines-of]
  (let [chances (js/Map.)
        each    (max 1 (quot baskets-read (max 1 (count seeds))))
        forget  (fn [] (doseq [seed seeds] (.delete chances seed)))]
    (doseq [seed seeds]
      (step chances seed (/ 1 (count seeds)) (lines-of seed each)))
    (forget)
    (when (< (.-size chances) wanted)
      (doseq [[sku chance] (best chances (:albums second-steps))]
        (step chances sku (* chance continuation) (lines-of sku (:baskets second-steps))))
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
                        (.set scores sku (/ (.get chances sku) (js/Math.pow baskets popularity-penalty)))))
    (.map (best scores wanted) (fn [[sku score]] {:sku sku :score score}))))
