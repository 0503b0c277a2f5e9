// SPDX-License-Identifier: Apache-2.0

import HandlerHost
import TargetCore
import Testing

@Suite("Filters in a device specification")
struct FilterChainTextTests {
    private static let cut: [(String, [String], String)] = [
        ("ram/1G", [], "ram/1G"),
        ("", [], ""),
        ("file//srv/a+b.img", [], "file//srv/a+b.img"),
        ("file//srv/fault:delay=5ms+ram/1G", [], "file//srv/fault:delay=5ms+ram/1G"),
        ("fault:delay=5ms+ram/1G", ["fault:delay=5ms"], "ram/1G"),
        ("fault+ram/1G", ["fault"], "ram/1G"),
        ("fault:+ram/1G", ["fault:"], "ram/1G"),
        ("a:x=1,y+b-c:z=2/3+d_1+rbd/p/i;k=a+b:c", ["a:x=1,y", "b-c:z=2/3", "d_1"], "rbd/p/i;k=a+b:c"),
        ("fault:error=1/1000+file//srv/a+b.img,size=1G", ["fault:error=1/1000"], "file//srv/a+b.img,size=1G"),
        (#"a:path=/x\+y\,z+ram/1"#, [#"a:path=/x\+y\,z"#], "ram/1"),
        ("fault:delay=5ms+", ["fault:delay=5ms"], ""),
    ]

    @Test("A word with a slash is the store; what ends with a plus before it is a filter", arguments: cut)
    func split(text: String, filters: [String], rest: String) throws {
        let found = try FilterChainText.split(text)
        #expect(found.filters.map(\.description) == filters)
        #expect(found.rest == rest)
    }

    @Test("Options have keys, values and columns, and escaped commas and pluses belong to values")
    func options() throws {
        let found = try FilterChainText.split(#"a:x=1,yes,p=/q\,r\+s\t=u+ram/1"#).filters[0]
        #expect(found.name == "a")
        #expect(
            found.options == [
                .init(key: "x", value: "1", column: 3), .init(key: "yes", value: nil, column: 7),
                .init(key: "p", value: #"/q,r+s\t=u"#, column: 11),
            ])
    }

    @Test("Chains of any filters and options come apart into what they were made of")
    func property() throws {
        let seed = SeededGenerator.freshSeed
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        func word(_ alphabet: String, _ lengths: ClosedRange<Int>) -> String {
            let letters = Array(alphabet)
            return String(
                (0..<Int.random(in: lengths, using: &random)).map { _ in letters.randomElement(using: &random)! })
        }
        for _ in 0..<500 {
            var text = ""
            var made: [(name: String, options: [(String, String?)])] = []
            for _ in 0..<Int.random(in: 0...5, using: &random) {
                let name = word("abcXYZ019_-", 1...8)
                let options = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                    (word("ab-c", 1...6), Bool.random(using: &random) ? word("a1./:=,+ü%", 0...8) : nil)
                }
                made.append((name, options))
                let written = options.map { key, value in
                    let escaped = value?.replacing(",", with: #"\,"#).replacing("+", with: #"\+"#)
                    return key + (escaped.map { "=" + $0 } ?? "")
                }
                text += name + ":" + written.joined(separator: ",") + "+"
            }
            let store = word("abc", 1...4) + "/" + word("ab/+:,=", 0...12)
            let found = try FilterChainText.split(text + store)
            #expect(found.rest == store)
            try #require(found.filters.map(\.name) == made.map(\.name), "\(text)")
            for (filter, made) in zip(found.filters, made) {
                #expect(filter.options.map(\.key) == made.options.map(\.0))
                #expect(filter.options.map(\.value) == made.options.map(\.1))
            }
        }
    }

    @Test("Whatever is written, the answer is a chain or a mistake with its place in the text")
    func anything() {
        let seed = SeededGenerator.freshSeed
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let pieces = [
            "fault", ":", "+", ",", "=", "\\", "/", "delay", "5ms", "on", "read", "1%", "é", " ", "range", "0..1",
        ]
        for _ in 0..<2000 {
            let text = (0..<Int.random(in: 0...12, using: &random)).map { _ in pieces.randomElement(using: &random)! }
                .joined()
            do throws(FilterError) {
                let found = try FilterChainText.split(text)
                for filter in found.filters { _ = try FilterKind.maker(for: filter) }
                #expect(text.hasSuffix(found.rest))
            } catch {
                let column = error.column ?? 0
                #expect((1...text.unicodeScalars.count + 1).contains(column), "\(text): \(error)")
                #expect(!error.sentence.isEmpty)
            }
        }
    }

    private static let wrong: [(String, Int, String)] = [
        ("fault:delay=5ms", 16, "has no + behind the options of the filter fault"),
        ("fault:delay=5ms/file//a", 24, "has no + behind"),
        (":delay=5ms+ram/1", 1, "has no filter's name before \":\""),
        ("+ram/1", 1, "has no filter's name before \"+\""),
        ("fault:delay=1ms++ram/1", 17, "has no filter's name before \"+\""),
        ("fault:delay=5ms,+ram/1", 17, "has an empty option"),
        ("fault:,delay=5ms+ram/1", 7, "has an empty option"),
        ("fault:=5ms+ram/1", 7, "has an empty option"),
        ("fualt:delay=5ms+ram/1", 1, "names no known filter with \"fualt\""),
        ("fault:delay=1ms+cache+ram/1", 17, "names no known filter with \"cache\""),
        ("fault+ram/1", 1, "does nothing"),
        ("fault:seed=4+ram/1", 1, "does nothing"),
        ("fault:dealy=5ms+ram/1", 7, "an option \"dealy\" that it does not have"),
        ("fault:delay=5ms,error=0+ram/1", 17, "has error=0, which cannot be: write a rate above 0"),
        ("fault:delay=5ms,error=101%+ram/1", 17, "has error=101%"),
        ("fault:delay=5+ram/1", 7, "has delay=5, which cannot be: write a time"),
        ("fault:delay=5ms..1ms+ram/1", 7, "has delay=5ms..1ms"),
        ("fault:delay=2h+ram/1", 7, "has delay=2h"),
        ("fault:delay=9999s+ram/1", 7, "has delay=9999s"),
        ("fault:delay+ram/1", 7, "gives delay no value"),
        ("fault:delay=1ms,delay=2ms+ram/1", 17, "gives delay of the filter fault twice"),
        ("fault:delay-at=end,error=1%+ram/1", 7, "gives delay-at without delay"),
        ("fault:error=1%,error-status=good+ram/1", 16, "has error-status=good"),
        ("fault:delay=1ms,error-status=busy+ram/1", 17, "gives error-status without error"),
        ("fault:error=1%,on=reed+ram/1", 16, "has on=reed"),
        ("fault:error=1%,on=read,reed+ram/1", 24, "an option \"reed\" that it does not have"),
        ("fault:error=1%,read+ram/1", 16, "an option \"read\""),
        ("fault:error=1%,range=5+ram/1", 16, "has range=5"),
        ("fault:error=1%,range=5..4+ram/1", 16, "has range=5..4"),
        ("fault:error=1%,max=0+ram/1", 16, "has max=0"),
        ("fault:error=1%,for=0+ram/1", 16, "has for=0"),
        ("fault:reorder=1+ram/1", 7, "has reorder=1"),
        ("fault:lose-flush=x+ram/1", 7, "has lose-flush=x"),
        ("fault:seed=-1,hang=1%+ram/1", 7, "has seed=-1"),
        (String(repeating: "fault:error=1%+", count: 17) + "ram/1", 241, "has more than 16 filters"),
    ]

    @Test("A mistake is told with the option and the column where it stands", arguments: wrong)
    func mistake(text: String, column: Int, words: String) {
        do throws(FilterError) {
            let found = try FilterChainText.split(text)
            for filter in found.filters { _ = try FilterKind.maker(for: filter) }
            Issue.record("\(text) is taken")
        } catch {
            #expect(error.column == column, "\(error)")
            #expect(error.sentence.contains(words), "\(error)")
        }
    }

    @Test("Every word of the options is understood")
    func everyOption() throws {
        let options = try FaultOptions(
            text: "seed=7,on=read,write-same,flush,range=8..15,delay=1ms..20ms,delay-at=end,delay-rate=50%,error=0.1%,"
                + "error-status=task-set-full,short=1/3,corrupt=100%,lose-flush,hang=1%,release=2s,late=2%,late-by=30us,"
                + "reorder=4,reorder-hold=7ms,after=10,for=3s,max=9")
        #expect(options.seed == 7)
        #expect(options.operations == [.read, .writeSame, .flush])
        #expect(options.range == 8...15)
        #expect(options.delay == 1_000_000...20_000_000 && options.delaysAtEnd)
        #expect(options.delayRate == FaultRate(1, of: 2))
        #expect(options.error == FaultRate(1, of: 1000) && options.errorStatus == .taskSetFull)
        #expect(options.short == FaultRate(1, of: 3) && options.corrupt == .always && options.loseFlush == .always)
        #expect(options.hang == FaultRate(1, of: 100) && options.release == 2_000_000_000)
        #expect(options.late == FaultRate(1, of: 50) && options.lateBy == 30_000)
        #expect(options.reorder == 4 && options.reorderHold == 7_000_000)
        #expect(options.after == .commands(10) && options.duration == .nanoseconds(3_000_000_000))
        #expect(options.maximum == 9)
    }

    @Test(
        "A rate is a percentage or one in a number, and nothing else",
        arguments: [
            ("0.1%", FaultRate(1, of: 1000)), ("1%", FaultRate(1, of: 100)), ("100%", FaultRate.always),
            ("100.000%", FaultRate.always), ("12.5%", FaultRate(1, of: 8)), ("1/1", FaultRate.always),
            ("1/1000", FaultRate(1, of: 1000)), ("0.000000001%", FaultRate(1, of: 100_000_000_000)), ("0%", nil),
            ("0.0%", nil), ("100.1%", nil), ("-1%", nil), ("1", nil), ("2/3", nil), ("1/0", nil), ("%", nil),
            (".5%", nil), ("5.%", nil), ("1e1%", nil), ("0.0000000001%", nil), ("", nil), ("1/", nil), ("1/2/3", nil),
            ("99999999999999999999%", nil), ("1/99999999999999999999", nil),
        ] as [(String, FaultRate?)])
    func rate(text: String, expected: FaultRate?) { #expect(FaultRate(text) == expected) }
}
