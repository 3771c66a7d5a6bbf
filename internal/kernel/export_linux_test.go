package kernel

// Described is what statx says.
var Described = described

// OrdersRenames reports which file systems count as ordered, and CountOrdered how many.
var OrdersRenames = ordersRenames

func CountOrdered() (count int) {
	for magic := uint32(0); ; {
		if ordersRenames(magic) {
			count++
		}
		if magic++; magic == 0 {
			return count
		}
	}
}
