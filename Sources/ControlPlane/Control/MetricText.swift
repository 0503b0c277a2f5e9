// SPDX-License-Identifier: Apache-2.0

/// Builds OpenMetrics text, family by family.
struct MetricText {
    typealias Sample = (labels: [(name: String, value: String)], value: Double)

    enum Kind: String {
        case counter, gauge, info

        /// What a sample's name has behind its family's.
        var suffix: String {
            switch self {
            case .counter: "_total"
            case .gauge: ""
            case .info: "_info"
            }
        }
    }

    /// A family whose name ends so has a unit.
    private static let units = ["seconds", "bytes"]

    private var text = ""

    mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
        add(name, kind, help, [([], value)])
    }

    mutating func add(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
        describe(name, kind.rawValue, help)
        for sample in samples { add(sample: name + kind.suffix, sample.labels, sample.value) }
    }

    /// The beginning of a family. Its samples follow.
    mutating func describe(_ name: String, _ type: String, _ help: String) {
        text += "# TYPE \(name) \(type)\n"
        if let unit = Self.units.first(where: { name.hasSuffix("_\($0)") }) { text += "# UNIT \(name) \(unit)\n" }
        text += "# HELP \(name) \(Self.escaped(help))\n"
    }

    mutating func add(sample name: String, _ labels: [(name: String, value: String)], _ value: Double) {
        let labels = labels.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",")
        text += name + (labels.isEmpty ? "" : "{\(labels)}") + " \(Self.number(value))\n"
    }

    /// The whole text, with the end that the format asks for.
    func ended() -> String { text + "# EOF\n" }

    /// Backslash, quotation mark and line feed, in label values and help alike.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Whole numbers without a fraction, as far as a Double is exact.
    private static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 0x1p53 ? "\(Int64(value))" : "\(value)"
    }
}
