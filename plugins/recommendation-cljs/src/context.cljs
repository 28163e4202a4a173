;; The recommendation context in ClojureScript: a random walk from album to basket to album, computed for each question.
;;
;; `walk` is the engine, `purchases` checks arguments, `store` is the SQL; this file exports the component's interfaces.
(ns context
  (:require ["seam-sdk" :refer [answering steps unsigned]]
            ["../migrations/0001-baskets.sql$default" :as baskets-sql]
            ["./purchases.cljs" :as purchases]
            ["./store.cljs" :as store]))

(def migrations (steps {"0001-baskets" baskets-sql}))

(def engine
  {:suggest (answering (fn [skus limit] (store/answer (purchases/question skus (unsigned limit)))))
   :learn   (answering (fn [bought] (store/learn (purchases/checked bought))))})

(def events
  {:orderPlaced (answering (fn [{:keys [number customer skus at]}]
                             (store/learn (purchases/checked [{:id number :customer customer :skus skus :at at}]))
                             nil))})
