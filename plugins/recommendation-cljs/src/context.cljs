;; The recommendation context in ClojureScript: a random walk from album to basket to album, worked out when it is asked for.
;;
;; `walk` is the engine, `purchases` the rules of the interface, `store` the SQL; this file is where they meet the component's interface.
(ns context
  (:require ["seam-sdk" :refer [answering steps unsigned]]
            ["../migrations/0001-baskets.sql$default" :as baskets-sql]
            ["./purchases.cljs" :as purchases]
            ["./store.cljs" :as store]))

(def migrations (steps {"0001-baskets" baskets-sql}))

(def engine
  {:suggest (answering (fn [skus limit] (store/answer (purchases/question skus (unsigned limit)))))
   :learn   (answering (fn [bought] (store/learn (purchases/checked bought))))})
