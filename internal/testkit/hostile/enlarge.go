package hostile

import (
	"strconv"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/jsontree"
)

// Enlarge makes an event of about that many bytes of another: of its values, the one of that number becomes longer. An array
// or an object gets more of what it has, which differs as ids and names that end with a number do; a text is repeated. A text
// that is no JSON object, or has nothing to enlarge, stays as it is.
func Enlarge(text []byte, number, size int) []byte {
	root, err := jsontree.Parse(text)
	if err != nil || root.Kind != jsontree.Object {
		return text
	}
	var all []*jsontree.Node
	root.Walk(func(_ string, n *jsontree.Node) {
		if n.Kind == jsontree.Text && n.Text != "" || len(n.Items) > 0 {
			all = append(all, n)
		}
	})
	if len(all) == 0 {
		return text
	}
	n := all[number%len(all)]
	have := len(root.Append(nil))
	if n.Kind == jsontree.Text {
		n.Text += strings.Repeat(n.Text, max(0, size-have)/len(n.Text))
		return root.Append(nil)
	}
	items := n.Items
	for i := 0; have < size; i++ {
		item := items[i%len(items)].Copy()
		vary(item, i)
		if n.Kind == jsontree.Object {
			item.Name += strconv.Itoa(i)
			have += len(`"":`) + len(item.Name)
		}
		have += len(item.Append(nil)) + 1
		n.Items = append(n.Items, item)
	}
	return root.Append(nil)
}

// vary puts a number at the end of the texts in a value that end with digits, so that they stay as long as they are.
func vary(n *jsontree.Node, number int) {
	if n.Kind == jsontree.Text {
		digits := len(n.Text) - len(strings.TrimRight(n.Text, "0123456789"))
		if end := strconv.Itoa(number); digits >= len(end) {
			n.Text = n.Text[:len(n.Text)-len(end)] + end
		}
	}
	for _, item := range n.Items {
		vary(item, number)
	}
}
