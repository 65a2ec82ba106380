// Package validate checks values by the validate tags of their structs and says where each fault stands, as a JSON
// pointer into the document that the value came from.
//
// It adapts go-playground/validator, whose tags it takes, for the domain, which declares the interface it needs in
// built-in types. It chooses no words: what a rule means to people is said where faults are made. A tag that does not
// exist panics when the struct is first validated, so a definition is tried out at start.
//
// Beside validator's own rules there are
//
//	timezone             an IANA name with an area, or UTC: Europe/Berlin
//	currency             an ISO 4217 code that one can pay with
//	slug                 a-z, 0-9 and single hyphens between them
//	notblank             something but white space
//	printable            valid UTF-8 without control characters; printable=lines lets line breaks and tabs through
package validate

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/go-playground/validator/v10"
)

// Validator validates; it may be used by many goroutines.
type Validator struct{ inner *validator.Validate }

// New returns a validator.
func New() *Validator {
	v := validator.New(validator.WithRequiredStructEnabled())
	for name, rule := range map[string]func(validator.FieldLevel) bool{
		"timezone": isTimeZone, "slug": isSlug, "notblank": isNotBlank, "printable": isPrintable,
	} {
		if err := v.RegisterValidation(name, rule); err != nil {
			panic(fmt.Sprintf("validate: register %s: %v", name, err))
		}
	}
	v.RegisterAlias("currency", currencies)
	return &Validator{inner: v}
}

// Validate reports every fault of value, which is a struct, or a slice or map of structs, or a pointer to one. The
// pointer is RFC 6901's and made of the names in the json tags: "/lines/0/quantity"; the rule and its parameter are the
// tag's: "max", "40". A nil in the place of a struct is reported as "required". It panics for anything else.
func (v *Validator) Validate(value any, report func(pointer, rule, param string)) {
	v.validate(reflect.ValueOf(value), "", report)
}

func (v *Validator) validate(value reflect.Value, pointer string, report func(pointer, rule, param string)) {
	value = indirect(value)
	switch value.Kind() {
	case reflect.Invalid:
		report(pointer, "required", "")
	case reflect.Struct:
		v.validateStruct(value, pointer, report)
	case reflect.Slice, reflect.Array:
		for i := range value.Len() {
			v.validate(value.Index(i), pointer+"/"+strconv.Itoa(i), report)
		}
	case reflect.Map:
		for _, key := range value.MapKeys() {
			v.validate(value.MapIndex(key), pointer+"/"+escape(keyText(key)), report)
		}
	default:
		panic(fmt.Sprintf("validate: want a struct, not %s", value.Type()))
	}
}

func (v *Validator) validateStruct(value reflect.Value, pointer string, report func(pointer, rule, param string)) {
	err := v.inner.Struct(value.Interface())
	if err == nil {
		return
	}
	var faults validator.ValidationErrors
	if !errors.As(err, &faults) {
		panic(fmt.Sprintf("validate: %v", err))
	}
	for _, fault := range faults {
		param := fault.Param()
		if fault.Tag() != fault.ActualTag() {
			param = "" // it belongs to a rule behind the alias
		}
		report(pointer+pointerTo(value, fault.StructNamespace()), fault.Tag(), param)
	}
}
