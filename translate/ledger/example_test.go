package ledger_test

import (
	"context"
	"fmt"
	"log"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

func ExampleNewMemory() {
	ctx := context.Background()
	store := ledger.NewMemory()
	query := ledger.NameQuery("service", "shop") // the sources that have a service shop
	for _, source := range []string{"https://a.example.com", "https://b.example.com"} {
		if err := store.Apply(ctx, []ledger.Fact{{Query: query, Record: ledger.Set{source}.Encode()}}); err != nil {
			log.Fatal(err)
		}
	}
	records, err := store.Read(ctx, []ledger.Query{query})
	if err != nil {
		log.Fatal(err)
	}
	sources, err := ledger.DecodeSet(records[0].Bytes)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sources)
	// Output: [https://a.example.com https://b.example.com]
}

func ExampleFact_Check() {
	query := ledger.NameQuery("service", "shop")
	fmt.Println(ledger.Fact{Query: query, Record: ledger.Set{"https://a.example.com"}.Encode()}.Check())
	fmt.Println(ledger.Fact{Query: ledger.Query{Kind: ledger.NameFact, Key: "shop"}}.Check())
	// Output:
	// <nil>
	// the key "shop" is no compact JSON array
}

func ExampleDecodeEiffelEvent() {
	record := ledger.EiffelEvent{Type: "EiffelEnvironmentDefinedEvent", Time: 1774000000000}
	event, err := ledger.DecodeEiffelEvent(record.Encode())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.Type, event.Time)
	// Output: EiffelEnvironmentDefinedEvent 1774000000000
}
