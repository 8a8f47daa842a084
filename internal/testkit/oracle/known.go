package oracle

import "github.com/eiffelbridge/eiffelbridge/mappings"

// Known lists what there is to meet: the rows of the catalogue, and the words that package translate uses at the base
// commit.
func Known() map[string][]string {
	known := map[string][]string{
		"error": {"not_json", "not_an_event", "unknown_type", "unknown_version", "invalid", "time_out_of_range", "not_in_spec", "not_in_edition",
			"no_mapping", "mapping", "unresolved", "invalid_output"},
		"loss": {"end_link", "envelope", "has_context", "link_to_itself", "link_without_target", "no_counterpart", "not_a_uri", "not_in_spec", "one_way",
			"precision", "signature", "unknown_target", "illegal_link_type", "illegal_link_target", "duplicate_link", "single_link"},
		"diagnostic": {"alias", "anchor_exists", "envelope_not_believed", "escaped_source", "filled_in", "ledger", "many_services", "mark_omitted",
			"no_item_under_test", "no_mapping", "no_running_deployment", "not_a_purl", "only_learned", "placeholder", "several", "several_environments",
			"synthesized", "unknown_target", "unresolved_deployment", "wrong_type"},
		"returning": {"no", "dropped", "restored"},
	}
	catalogue, err := mappings.Load()
	if err != nil {
		return known // the drivers will say what is wrong with it
	}
	for _, row := range catalogue.ToEiffel {
		name := row.CDEvent
		if row.If != "" {
			name += " if " + row.If
		}
		known["row"] = append(known["row"], name)
	}
	for _, row := range catalogue.ToCDEvents {
		known["row"] = append(known["row"], row.Eiffel)
	}
	return known
}
