;; Checks that the arguments follow the rules of the interface `engine`.
(ns purchases
  (:require ["seam-sdk" :refer [Rejected]]))

(def ^:private suggestions-max 50)
(def ^:private seeds-max 50)
(def ^:private purchases-max 1000)
(def ^:private skus-max 50)
(def ^:private pairs-max 50000)

(def ^:private sku-form (js/RegExp. "^[A-Z0-9-]{1,32}$"))
(def ^:private id-form (js/RegExp. "^[^\\p{Cc}]{1,64}$" "u"))

(defn- invalid [& why]
  (throw (Rejected. "invalid" (apply str why))))

(defn- at-most [limit n what]
  (when (> n limit)
    (invalid n " " what "; " limit " are allowed")))

(defn- check-skus [skus place]
  (doseq [[at sku] (map-indexed vector skus)]
    (when-not (.test sku-form sku)
      (let [shown (js/JSON.stringify (.slice sku 0 32))]
        (invalid place (inc at) ": " shown " is not 1 to 32 capital letters, digits and hyphens")))))

(defn- once [skus]
  (.sort (js/Array.from (js/Set. skus))))

(defn question
  "The checked question: its seeds sorted, each once."
  [skus wanted]
  (at-most seeds-max (count skus) "SKUs in one question")
  (check-skus skus "SKU number ")
  (when-not (<= 1 wanted suggestions-max)
    (invalid wanted " suggestions; 1 to " suggestions-max " may be asked for"))
  {:seeds (once skus) :wanted wanted})

(defn- check-purchase [{:keys [id skus]} row]
  (when-not (.test id-form id)
    (invalid row ", id: it does not have 1 to 64 characters without control characters"))
  (when (zero? (count skus))
    (invalid row ", skus: nothing was bought"))
  (when (> (count skus) skus-max)
    (invalid row ", skus: " (count skus) " of them; " skus-max " are allowed"))
  (check-skus skus (str row ", skus, number ")))

(defn checked
  "The checked purchases as baskets: each SKU once, and of purchases with the same id the first."
  [bought]
  (at-most purchases-max (count bought) "purchases in one call")
  (let [by-id (js/Map.)]
    (doseq [[at purchase] (map-indexed vector bought)]
      (check-purchase purchase (str "row " (inc at)))
      (when-not (.has by-id (:id purchase))
        (.set by-id (:id purchase) {:id (:id purchase) :skus (once (:skus purchase))})))
    (let [baskets (js/Array.from (.values by-id))
          pairs   (reduce (fn [sum {:keys [skus]}] (+ sum (/ (* (count skus) (dec (count skus))) 2))) 0 baskets)]
      (at-most pairs-max pairs "pairs of albums in one call")
      baskets)))
