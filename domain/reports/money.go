package reports

import (
	"math"
	"strconv"
	"strings"
)

// exponents are how many digits a currency's minor unit has (ISO 4217, table A.1) where they are not two.
func exponent(currency string) int {
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	case "CLF", "UYW":
		return 4
	default:
		return 2
	}
}

// minus is the sign of what is less: as wide as the plus, and no hyphen that a line breaks at.
const minus = "\u2212"

// grouped is a number of minor units with a comma between thousands and so many digits behind the point.
func grouped(n int64, digits int) string {
	text := strconv.FormatInt(n, 10)
	text, isNegative := strings.CutPrefix(text, "-")
	if len(text) <= digits {
		text = strings.Repeat("0", digits-len(text)+1) + text
	}
	whole, rest := text[:len(text)-digits], text[len(text)-digits:]
	var b strings.Builder
	if isNegative {
		b.WriteString(minus)
	}
	for i := range len(whole) {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(whole[i])
	}
	if digits > 0 {
		b.WriteString("." + rest)
	}
	return b.String()
}

// change is how far a value is from an earlier one that was not zero, in percent with one digit: +12.5 %.
func change(now, before int64) string {
	percent := (float64(now) - float64(before)) / math.Abs(float64(before)) * 100
	sign := "+"
	if percent < 0 {
		sign, percent = minus, -percent
	}
	if percent < 0.05 {
		return sign + "<0.1" + space + "%"
	}
	if percent >= 999.95 {
		return sign + ">999" + space + "%"
	}
	return sign + strconv.FormatFloat(percent, 'f', 1, 64) + space + "%"
}

// space is one at which no line breaks.
const space = "\u00a0"

// average is total ÷ n, rounded half up; nil for none.
func average(total, n int64) *int64 {
	if n <= 0 {
		return nil
	}
	whole, rest := total/n, total%n
	if rest >= n-rest {
		whole++
	}
	return &whole
}
