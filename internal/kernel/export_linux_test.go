package kernel

// Described is what statx says.
var Described = described

// OrdersRenames reports which file systems count as ordered.
var OrdersRenames = ordersRenames
