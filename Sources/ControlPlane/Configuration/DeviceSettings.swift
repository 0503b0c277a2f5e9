// SPDX-License-Identifier: Apache-2.0

public import HandlerHost

/// What an operator says of one device, on the command line or in a file. Nil: left to the handler, or derived.
public struct DeviceSettings: Equatable, Sendable {
    /// `SUBTYPE/REST`: tcmu's configuration string, without attributes.
    public var backstore: String
    /// What stands between initiators and the store, outermost first.
    public var filters: [FilterSpecification] = []
    /// Bytes.
    public var byteCount: UInt64?
    /// Bytes of a logical block: 512, 1024, 2048 or 4096.
    public var blockByteCount: Int?
    public var isReadOnly = false
    /// The medium can be ejected and loaded.
    public var isRemovable = false
    /// Percent of the medium that has storage when initiators are told that it runs out.
    public var thresholdPercent: Int?
    /// Bytes of a physical block; nil: one logical block.
    public var physicalBlockByteCount: Int?
    /// The type of the protection information that blocks have, 1 to 3; nil: they have none.
    public var protection: UInt8?
    /// The file that holds it; nil: beside the store.
    public var protectionFile: String?
    /// ATO: application tags are the initiator's own.
    public var isTagOwnedByInitiator = false
    /// UNIT SERIAL NUMBER.
    public var serial: String?
    /// T10 VENDOR IDENTIFICATION, at most 8 characters.
    public var vendor: String?
    /// PRODUCT IDENTIFICATION, at most 16 characters.
    public var product: String?
    public var writeCache: Bool?
    /// Neighbouring reads and writes go to the handler together.
    public var merges = false
    /// Nanoseconds that requests wait for neighbours.
    public var mergeDelayNanoseconds: UInt64 = 0
    /// Nanoseconds that they wait at most; 0: no limit.
    public var maximumDelayNanoseconds: UInt64 = 0

    public init(backstore: String) { self.backstore = backstore }

    /// `text` without attributes: `[FILTER+]...SUBTYPE/REST`. The options of the filters are read, to find what is
    /// wrong with them.
    init(chain text: String) throws(FilterError) {
        let (filters, backstore) = try FilterChainText.split(text)
        for filter in filters { _ = try FilterKind.maker(for: filter) }
        self.init(backstore: backstore)
        self.filters = filters
    }

    /// The filters as the operator wrote them.
    public var filterTexts: [String] { filters.map(\.description) }

    /// As the operator wrote it, without attributes.
    var chain: String { (filterTexts + [backstore]).joined(separator: "+") }

    /// What stands before the slash: the handler that is meant.
    public var subtype: String { String(backstore.prefix { $0 != "/" }) }

    /// What is opened, by a name that means the same store each time; nil: memory without a name (`ram/SIZE`), which is
    /// a store of its own each time.
    var store: String? { backstore.hasPrefix("ram/") && !backstore.hasPrefix("ram//") ? nil : backstore }

    /// Nil when the attributes go together; otherwise what is wrong, as a sentence without its beginning.
    var defect: String? {
        if protection == nil, protectionFile != nil || isTagOwnedByInitiator {
            let attribute = protectionFile != nil ? "protection-file" : "application-tag"
            return "gives \(attribute) without protection: add protection=1, 2 or 3, or leave it out"
        }
        if mergeDelayNanoseconds > 0, !merges {
            return "gives merge-delay without merge=on: requests are held only to be merged; add merge=on"
        }
        if maximumDelayNanoseconds > 0, mergeDelayNanoseconds == 0 {
            return "gives max-delay without merge-delay: it limits that delay; add merge-delay, or leave max-delay out"
        }
        if maximumDelayNanoseconds > 0, maximumDelayNanoseconds < mergeDelayNanoseconds {
            return "gives a max-delay below its merge-delay: the longer one is the limit; change one of the two"
        }
        return nil
    }

    /// Nil when `backstore` has the form `SUBTYPE/REST`; otherwise what is wrong with it, as the end of a sentence.
    static func defect(ofBackstore text: String) -> String? {
        guard let slash = text.firstIndex(of: "/") else {
            return "has no slash: write SUBTYPE/REST, such as ram/1G or file//srv/disk.img"
        }
        guard slash != text.startIndex else {
            return "has no subtype before the slash: write SUBTYPE/REST, such as file/\(text)"
        }
        guard text[..<slash].utf8.allSatisfy({ isWordByte($0) }) else {
            return "has a subtype with characters other than letters, digits, _ and -: write SUBTYPE/REST, "
                + "such as ram/1G"
        }
        guard !text.utf8.contains(0) else { return "holds a zero byte: take it out" }
        return nil
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
