package reports

// What the tests of this package's outside look into.
var (
	PlainText  = plainText
	RenderPage = renderPage
	RenderMail = renderMail
	ReadTable  = readTable
	Look       = look
	IsHTML     = isHTML
)
