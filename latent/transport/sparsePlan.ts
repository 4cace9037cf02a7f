/** A plan as parallel arrays of arcs: source and sink are row numbers. Arcs by source, then sink. */
export interface SparsePlan {
  n: number;
  m: number;
  source: Int32Array;
  sink: Int32Array;
  mass: Float64Array;
}

/** A plan with the cost of each arc. */
export interface PricedPlan extends SparsePlan {
  arcCost: Float64Array;
}
