// Code generated from the catalogue's codes.yaml. DO NOT EDIT.

package translate

// The codes by which results and errors say what there is to say.
const (
	// Why an event cannot be translated: [EventError.Code]. Dead letters carry them as their reason.

	CodeNotJSON        = "not_json"          // broken JSON, or JSON that breaks a decoding rule
	CodeNotEvent       = "not_an_event"      // JSON, but neither a CDEvent nor an Eiffel event
	CodeUnknownType    = "unknown_type"      // an event type that no supported version of the protocol has
	CodeUnknownVersion = "unknown_version"   // a version of the type that is not known and not newer than the known
	CodeInvalid        = "invalid"           // breaks the schema of its type and version
	CodeTime           = "time_out_of_range" // the time cannot be written in the other protocol
	CodeNotInSpec      = "not_in_spec"       // the output version of CDEvents has no such event
	CodeNotInEdition   = "not_in_edition"    // the output edition of Eiffel has no such event
	CodeNoMapping      = "no_mapping"        // the type has no counterpart, and the settings refuse such events
	CodeMapping        = "mapping"           // an expression of an overlay cannot be evaluated for the event
	CodeUnresolved     = "unresolved"        // a reference is unknown and the policy is to fail
	CodeIDTooLong      = "id_too_long"       // something is identified by more than 1 KB of text
	CodeTooCostly      = "too_costly"        // the event takes far more work than others of its size
	CodeInvalidOutput  = "invalid_output"    // the translation itself broke a rule of the output's schema

	// Why a part of the input has no home in the output: [Loss.Reason].

	LossNoCounterpart     = "no_counterpart"      // no counterpart
	LossPrecision         = "precision"           // more precise than milliseconds
	LossNotURI            = "not_a_uri"           // no URI, which the other protocol wants
	LossSignature         = "signature"           // a signature does not survive a translation
	LossEnvelope          = "envelope"            // the bridge's own mark
	LossOneWay            = "one_way"             // it does not come back as it was
	LossTooDeep           = "too_deep"            // nested too deeply for the place where it would stand
	LossNotInSpec         = "not_in_spec"         // this version of CDEvents does not have it
	LossEndLink           = "end_link"            // Eiffel has no link that ends a chain
	LossHasContext        = "has_context"         // a CONTEXT link says it already
	LossDuplicateLink     = "duplicate_link"      // another link says it already
	LossSingleLink        = "single_link"         // the event may have only one link of that type
	LossIllegalLinkType   = "illegal_link_type"   // no link type of this Eiffel event
	LossIllegalLinkTarget = "illegal_link_target" // the link may not lead to an event of that type
	LossLinkToItself      = "link_to_itself"      // the link would lead to the event itself
	LossLinkWithoutTarget = "link_without_target" // the link names no target
	LossLinkWithoutType   = "link_without_type"   // the link has no type
	LossUnknownTarget     = "unknown_target"      // nobody knows the target

	// What a user should know about a translation that succeeded: [Diagnostic.Code].

	DiagnosticAlias               = "alias"                 // a reference was taken to mean the only known subject with that id, of another source
	DiagnosticAnchorExists        = "anchor_exists"         // the subject's Eiffel event is there already and has no later versions, so that the event is announced
	DiagnosticEnvelope            = "envelope_not_believed" // a carried original or a mark does not agree with the event, and is ordinary custom data
	DiagnosticEscapedSource       = "escaped_source"        // meta.source.uri is no URI and was percent-encoded
	DiagnosticFilledIn            = "filled_in"             // a required member is unknown and was filled with the id of the event that would know
	DiagnosticLedger              = "ledger"                // a record of the ledger is damaged and was ignored
	DiagnosticManyServices        = "many_services"         // too many services are known in an environment to say what is tested
	DiagnosticMarkOmitted         = "mark_omitted"          // the event's own custom data has our key, so that no mark was written
	DiagnosticNoItemUnderTest     = "no_item_under_test"    // nothing is known of what is tested; a composition stands in for it
	DiagnosticNoMapping           = "no_mapping"            // the event has no counterpart and was dropped, as the settings say
	DiagnosticNoDeployment        = "no_running_deployment" // no deployment of a service is known to run; a composition stands in for it
	DiagnosticNotPurl             = "not_a_purl"            // an artifact's id is no purl and was written as one
	DiagnosticOnlyLearned         = "only_learned"          // CDEvents has no event for it; the ledger learns it
	DiagnosticPlaceholder         = "placeholder"           // a link leads to an event that is not made up, since the settings say never
	DiagnosticReturning           = "returning"             // the event came from the other side, and was turned back into its original or dropped
	DiagnosticSeveral             = "several"               // several subjects would do; the first is named
	DiagnosticSeveralEnvironments = "several_environments"  // a service runs in several environments and the event names none
	DiagnosticSynthesized         = "synthesized"           // an anchor was made up for a link
	DiagnosticUnknownTarget       = "unknown_target"        // a link names an event that nobody knows: it leads to the id itself, or is left out
	DiagnosticUnresolved          = "unresolved_deployment" // the artifact or the environment of a deployment is unknown; it opens no incarnation
	DiagnosticWrongType           = "wrong_type"            // a reference names an event of a type to which the link may not lead
)
