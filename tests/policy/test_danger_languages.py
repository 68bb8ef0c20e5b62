"""Plain danger in other languages: it is found, idioms and denials are not, and English is taken for none of them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policy.safety import languages
from policy.safety.detector import KINDS, check_patterns
from policy.safety.languages import LanguageError, card_line, codes, guess, lines, name, read, search
from policy.words import load_table

DANGER = {
    "es": [
        "Quiero matarme esta noche.",
        "Ya no quiero vivir más",
        "me quiero morir",
        "Voy a suicidarme",
        "Mi marido me pega todos los días",
        "mi papá me golpeó otra vez",
        "No puedo respirar, me duele mucho el pecho",
        "Mi bebé no respira",
        "Me tomé todas las pastillas",
        "Lo voy a matar",
        "estoy pensando en quitarme la vida",
        "Me está dando un infarto",
        "mi novio me quiere matar",
        "llevo semanas pensando en suicidarme",
        "me he cortado las venas",
    ],
    "de": [
        "Ich will mich heute Nacht umbringen.",
        "Ich möchte nicht mehr leben",
        "ich will sterben",
        "Ich habe alle Tabletten geschluckt",
        "Mein Mann schlägt mich",
        "Mein Vater hat mich gestern wieder geschlagen",
        "Mein Baby atmet nicht mehr",
        "Ich kriege keine Luft",
        "Ich bringe mich um",
        "Ich denke an Selbstmord",
        "Ich werde ihn umbringen",
        "Er droht mich umzubringen",
        "Ich ritze mich wieder",
        "ich stehe auf der brücke und will springen",
        "Meine Mutter ist bewusstlos",
    ],
    "fr": [
        "Je veux mourir ce soir",
        "Je vais me suicider",
        "je ne veux plus vivre",
        "J'ai envie d'en finir",
        "J'ai pris toute la boîte de médicaments",
        "Mon mari me frappe",
        "Il m'a frappée hier soir",
        "Mon bébé ne respire plus",
        "Je n'arrive plus à respirer",
        "Mon père fait une crise cardiaque",
        "Je vais le tuer",
        "il menace de me tuer",
        "Je me coupe les bras",
        "j'ai avalé tous mes somnifères",
        "J'ai des idées suicidaires",
    ],
    "pt": [
        "Quero me matar",
        "Eu quero morrer hoje",
        "não quero mais viver",
        "Tomei todos os comprimidos",
        "Meu marido me bate",
        "Meu padrasto me estuprou",
        "Não consigo respirar",
        "Meu filho não está respirando",
        "Vou acabar com a minha vida",
        "vou me suicidar",
        "vou matar ele",
        "Estou com muita dor no peito",
    ],
    "it": [
        "Voglio morire",
        "Voglio uccidermi stanotte",
        "Non voglio più vivere",
        "Ho preso tutte le pastiglie",
        "Mio marito mi picchia",
        "Mio padre mi ha picchiata",
        "Non riesco a respirare",
        "Il bambino non respira più",
        "La faccio finita",
        "Sto pensando di suicidarmi",
        "lo ammazzo stasera",
        "Mi taglio le braccia",
    ],
    "nl": [
        "Ik wil dood",
        "Ik wil niet meer leven",
        "Ik ga zelfmoord plegen",
        "Ik heb alle pillen geslikt",
        "Mijn man slaat me",
        "Mijn vader heeft me geslagen",
        "Mijn baby ademt niet meer",
        "Ik krijg geen lucht",
        "ik ga mezelf van kant maken",
        "Ik wil er een eind aan maken",
        "Ik ga hem vermoorden",
        "hij dreigt me te vermoorden",
    ],
    "pl": [
        "Chcę się zabić",
        "Nie chcę już żyć",
        "Chcę umrzeć",
        "Połknęłam wszystkie tabletki",
        "Mąż mnie bije",
        "Mój ojciec mnie bije",
        "Moje dziecko nie oddycha",
        "Nie mogę oddychać",
        "Zabiję się dzisiaj",
        "Tnę się",
        "Zabiję go",
        "Zostałam zgwałcona",
    ],
    "tr": [
        "Ölmek istiyorum",
        "Kendimi öldüreceğim",
        "İntihar etmek istiyorum",
        "Artık yaşamak istemiyorum",
        "Bütün hapları içtim",
        "Kocam beni dövüyor",
        "Babam bana vuruyor",
        "Nefes alamıyorum",
        "Bebeğim nefes almıyor",
        "Bileklerimi kestim",
        "Onu öldüreceğim",
        "Kalp krizi geçiriyorum",
    ],
    "hi": [
        "main marna chahta hoon",
        "main suicide karna chahti hun",
        "ab jeena nahi chahta",
        "maine saari goliyan kha li",
        "mere pati mujhe maarte hain",
        "woh mujhe roz maarta hai",
        "saans nahi aa rahi",
        "मैं मरना चाहता हूँ",
        "मैं आत्महत्या करना चाहती हूं",
        "मैंने सारी गोलियां खा लीं",
        "मेरे पति मुझे मारते हैं",
        "साँस नहीं आ रही",
        "अब जीना नहीं चाहता",
    ],
    "zh": [
        "我想死",
        "我要自杀",
        "我不想活了",
        "我吃了一整瓶安眠药",
        "我老公打我",
        "他每天都打我",
        "我喘不过气",
        "我爸爸昏倒了",
        "我想跳楼",
        "我要杀了他",
        "我想結束自己的生命",
        "孩子没有呼吸了",
        "我割了手腕",
    ],
    "ko": [
        "죽고 싶어요",
        "자살하고 싶어",
        "더 이상 살고 싶지 않아",
        "약을 다 먹었어",
        "남편이 저를 때려요",
        "아빠가 나를 때렸어요",
        "숨을 못 쉬겠어요",
        "아기가 숨을 안 쉬어요",
        "손목을 그었어요",
        "그 사람을 죽여버릴 거야",
        "옥상에 서 있어요",
        "가슴이 너무 아파요",
    ],
    "ja": [
        "死にたい",
        "自殺したいです",
        "もう生きていたくない",
        "薬を全部飲みました",
        "夫に殴られています",
        "父が私を殴ります",
        "息ができない",
        "赤ちゃんが息をしていません",
        "手首を切りました",
        "あいつを殺す",
        "屋上にいます",
        "胸がすごく痛いです",
        "もう消えてしまいたい",
    ],
    "ar": [
        "أريد أن أموت",
        "سأقتل نفسي",
        "لا أريد أن أعيش",
        "عايز أموت",
        "تناولت كل الحبوب",
        "زوجي يضربني",
        "أبي يضربني كل يوم",
        "لا أستطيع التنفس",
        "طفلي لا يتنفس",
        "أريد الانتحار",
        "هقتله",
        "قَرَّرْتُ أَنْ أَنْتَحِرَ",
    ],
    "ru": [
        "Я хочу умереть",
        "Я убью себя",
        "Не хочу больше жить",
        "Я выпила все таблетки",
        "Муж меня бьёт",
        "Отец избил меня",
        "Я не могу дышать",
        "Ребёнок не дышит",
        "Я хочу покончить с собой",
        "Я убью его",
        "Я стою на крыше",
        "он угрожает меня убить",
    ],
}

HARMLESS = {
    "es": [
        "Me muero de risa",
        "No quiero matarme",
        "estoy muerta de cansancio",
        "Mi madre me va a matar si llego tarde",
        "Hoy he comido con mi hermana",
        "Nadie me pega",
        "Me muero de hambre, vamos a cenar",
        "Mi abuelo murió en mayo",
        "Voy a matar el tiempo con un libro",
        "El trabajo me está matando",
    ],
    "de": [
        "Ich sterbe vor Hunger",
        "das bringt mich um",
        "ich will nicht sterben",
        "Niemand schlägt mich",
        "Ich bin todmüde",
        "Ich habe heute mit meiner Mutter gesprochen",
        "Mein Vater ist gestorben",
        "Ich will heute schlafen",
        "Meine Mutter bringt mich um wenn ich zu spät komme",
        "Er würde mich nie schlagen",
        "Ich habe mich totgelacht",
        "Ich muss heute Tabletten gegen Heuschnupfen nehmen",
    ],
    "fr": [
        "je suis mort de fatigue",
        "je ne veux pas mourir",
        "mourir de rire",
        "Ma mère est morte",
        "Ma femme va me tuer si je rentre tard",
        "je me tue au travail",
        "Personne ne me frappe",
        "Je veux dormir",
        "On va tuer le temps",
        "J'ai pris mes médicaments ce matin",
    ],
    "pt": [
        "estou morrendo de fome",
        "não quero morrer",
        "ninguém me bate",
        "estou morta de sono",
        "Meu avô morreu",
        "Vou matar a saudade",
        "Minha mãe vai me matar se eu chegar tarde",
        "Tomei um comprimido para a dor de cabeça",
    ],
    "it": [
        "sono morta di fame",
        "non voglio morire",
        "muoio dal ridere",
        "nessuno mi picchia",
        "Mio nonno è morto",
        "Sono stanca morta",
        "Mia madre mi ammazza se torno tardi",
        "Ho preso una pastiglia per il mal di testa",
    ],
    "nl": [
        "ik lach me dood",
        "ik wil niet dood",
        "niemand slaat me",
        "ik ben doodmoe",
        "Mijn opa is dood",
        "Ik wil vandaag slapen",
        "Hij zou me nooit slaan",
        "Ik heb een pil tegen hoofdpijn genomen",
    ],
    "pl": [
        "umieram ze śmiechu",
        "nie chcę umierać",
        "nikt mnie nie bije",
        "Mój dziadek umarł",
        "Chcę spać",
        "Zabijam czas",
    ],
    "tr": [
        "gülmekten öldüm",
        "ölmek istemiyorum",
        "açlıktan ölüyorum",
        "annem beni öldürecek",
        "Dedem öldü",
        "Uyumak istiyorum",
        "Kimse beni dövmüyor",
    ],
    "hi": [
        "bhookh se mar raha hoon",
        "marna nahi chahta",
        "हंसी से मर गया",
        "मरना नहीं चाहता",
        "mere dada mar gaye",
        "main sona chahta hoon",
        "koi mujhe nahi maarta",
    ],
    "zh": [
        "笑死我了",
        "累死了",
        "我不想死",
        "我爱死你了",
        "他打电话给我",
        "想死你了",
        "我爷爷去世了",
        "我想睡觉",
        "他打了我的电话",
    ],
    "ko": ["웃겨 죽겠다", "배고파 죽겠어", "죽고 싶지 않아요", "할아버지가 돌아가셨어요", "자고 싶어요"],
    "ja": [
        "死ぬほど疲れた",
        "お腹すいて死にそう",
        "死にたくない",
        "母に殺される",
        "祖父が亡くなりました",
        "もう寝たい",
    ],
    "ar": ["بموت فيك", "سأموت من الضحك", "لا أريد أن أموت", "مات جدي", "أريد أن أنام"],
    "ru": ["умираю со смеху", "не хочу умирать", "мама меня убьет если узнает", "Мой дедушка умер", "Я хочу спать"],
}


def english() -> Iterator[str]:
    """Sentences of the classifier's training texts, dangers and everyday talk alike."""

    def texts(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for each in value.values():
                yield from texts(each)
        elif isinstance(value, list):
            for each in value:
                yield from texts(each)

    folder = Path(languages.__file__).parent.parent / "training" / "danger"
    for path in sorted(folder.glob("*.toml")):
        yield from texts(tomllib.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("code", sorted(DANGER))
def test_plain_danger_is_found(code: str) -> None:
    missed = [words for words in DANGER[code] if (found := search(words)) is None or found.language != code]
    assert not missed


@pytest.mark.parametrize("code", sorted(HARMLESS))
def test_idioms_denials_and_everyday_talk_are_not(code: str) -> None:
    assert not [(words, found) for words in HARMLESS[code] if (found := search(words))]


def test_english_is_never_taken_for_another_language() -> None:
    told = list(english())[::5]
    assert len(told) > 4_000
    assert not [(words, found) for words in told if (found := search(words))]


def test_accents_and_capitals_may_be_left_out() -> None:
    for words in (
        "QUIERO MORIR",
        "ich moechte sterben, ich mochte sterben",
        "j'ai avale tous mes somniferes",
        "chce sie zabic",
    ):
        assert search(words) is not None, words


def test_the_gravest_danger_counts_and_each_clause_is_read_by_itself() -> None:
    found = search("No me quiero matar, pero mi marido me pega.")
    assert found is not None
    assert found.kind == "abuse"
    both = search("Mi marido me pega y no puedo respirar. Quiero morir.")
    assert both is not None
    assert both.kind == "self_harm"


def test_the_detector_finds_it_without_a_model() -> None:
    found = check_patterns("Ich will mich heute Nacht umbringen.")
    assert found is not None
    assert (found.kind, found.plain, found.language) == ("self_harm", True, "de")


@pytest.mark.parametrize("code", sorted(DANGER))
def test_the_language_is_told(code: str) -> None:
    said = [*DANGER[code], *HARMLESS[code]]
    told = [guess(words) for words in said]
    assert sum(found == code for found in told) >= 0.75 * len(said), list(zip(said, told, strict=True))
    assert sum(found not in {code, ""} for found in told) <= 0.1 * len(said), list(zip(said, told, strict=True))


def test_what_recognition_believes_decides_where_words_do_not() -> None:
    assert guess("Kendimi", "tr") in {"tr", ""}
    assert guess("zzz qqq", "") == ""
    assert guess("Я не хочу, ні") == ""


def test_every_language_has_lines_and_a_card() -> None:
    assert set(codes()) == set(DANGER) == set(HARMLESS)
    for code in codes():
        assert name(code)
        assert "{emergency}" in card_line(code)
        for kind in KINDS:
            assert all("{emergency}" in line for line in lines(code, kind))
    assert "{emergency}" in card_line("xx")


@pytest.mark.parametrize(
    "words",
    [
        "ich will " * 450,
        "je veux me " * 400,
        "我要" * 2000,
        "ich habe alle " * 300,
        "죽고 " * 1300,
        "main " * 800,
        "ich " * 1000,
    ],
    ids=lambda words: words[:10],
)
def test_hostile_texts_take_no_time(words: str) -> None:
    assert search(words) is None or search(words) is not None  # a pattern that backtracked would not come back


def test_a_mistake_in_the_file_is_named() -> None:
    table = dict(load_table("danger-languages"))
    with pytest.raises(LanguageError, match=r"\[es\]: unknown field nme"):
        read(table | {"es": {**table["es"], "nme": ""}})
    with pytest.raises(LanguageError, match=r"\[es\] self_harm 1: there is no part \{quero\}"):
        read(table | {"es": {**table["es"], "self_harm": ["{quero} morir"]}})
    with pytest.raises(LanguageError, match=r"\[es\] self_harm 1: .*unterminated"):
        read(table | {"es": {**table["es"], "self_harm": ["(morir"]}})
    with pytest.raises(LanguageError, match=r"\[es\]: abuse is None"):
        read(table | {"es": {k: v for k, v in table["es"].items() if k != "abuse"}})
